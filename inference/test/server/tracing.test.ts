import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import { PassThrough } from 'node:stream';
import { json, text } from 'node:stream/consumers';
import { Health, InferenceService, TextModel } from '@heimdex/gen';
import { expect } from 'chai';
import { pino } from 'pino';
import { openTracing } from '../../src/telemetry/tracing.js';
import type { EndedCall } from '../../src/transport/calls/call-tracker.js';
import { startFakeServer } from '../fixtures/fake-server.js';

const { embedText, getServerInfo } = InferenceService.method;
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SPAN_ID = 'b7ad6b7169203331';

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Attributes;
  readonly status: { readonly code?: number; readonly message?: string };
}

type Attributes = readonly { readonly key: string; readonly value: { readonly stringValue?: string } }[];

function attribute(attributes: Attributes | undefined, name: string): string | undefined {
  return attributes?.find(({ key }) => key === name)?.value.stringValue;
}

/** A collector that stores the spans. */
async function startCollector() {
  const spans: Span[] = [];
  const resources: Attributes[] = [];
  const server = http.createServer(async (request, response) => {
    const body = (await json(request)) as {
      resourceSpans: { resource: { attributes: Attributes }; scopeSpans: { spans: Span[] }[] }[];
    };
    for (const { resource, scopeSpans } of body.resourceSpans) {
      resources.push(resource.attributes);
      for (const scope of scopeSpans) spans.push(...scope.spans);
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    spans,
    resources,
    url: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    close: () => server.close(),
  };
}

describe('traces', () => {
  describe('of a server', () => {
    let spans: readonly Span[];
    before(async () => {
      const collector = await startCollector();
      const fake = await startFakeServer({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
      try {
        await fake.server.warm;
        const headers = { traceparent: `00-${TRACE_ID}-${SPAN_ID}-01` };
        await fake.client.value(embedText, { texts: ['a'], model: TextModel.TEXT }, { headers });
        await fake.client.value(Health.method.check, { service: '' });
        await fake.client.value(getServerInfo, {}, { headers: { 'x-request-id': 'search-7' } });
        const response = await fetch(`${fake.url}/v1/embeddings`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ model: 'fake/bge-m3', input: 'a' }),
        });
        expect(response.status).to.equal(200);
        await response.text();
      } finally {
        await fake.close();
        collector.close();
      }
      spans = collector.spans;
    });

    it('are sent to the collector as children of the caller’s span', () => {
      const call = spans.find(({ traceId }) => traceId === TRACE_ID);
      expect(call?.name).to.match(/\/EmbedText$/);
      expect(call).to.include({ parentSpanId: SPAN_ID });
      const below = spans.filter(({ parentSpanId }) => parentSpanId === call?.spanId).map(({ name }) => name);
      expect(below).to.have.members(['queue', 'run']);
    });

    it('name the protocol of a call', () => {
      const calls = spans.filter(({ name }) => name.endsWith('/EmbedText'));
      expect(calls.map(({ attributes }) => attribute(attributes, 'rpc.system'))).to.have.members(['grpc', 'openai']);
    });

    it('are of calls, not of probes of health', () => {
      const calls = spans.filter(({ name }) => !['queue', 'run'].includes(name)).map(({ name }) => name);
      const methods = ['EmbedText', 'GetServerInfo', 'EmbedText'];
      expect(calls).to.have.members(methods.map((name) => `${InferenceService.typeName}/${name}`));
    });

    it('have the id of the call, by which its log line is found', () => {
      const call = spans.find(({ name }) => name.endsWith('/GetServerInfo'));
      expect(attribute(call?.attributes, 'heimdex.call')).to.equal('search-7');
    });
  });

  it('have the times of every run: after the request has arrived, and within the call', async () => {
    const collector = await startCollector();
    const fake = await startFakeServer({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      BATCH_TEXT: '1',
      WORKERS_TEXT: '2',
    });
    let arrivedAtMs = 0;
    try {
      await fake.loaded(2);
      const headers = { 'content-type': 'application/json' };
      const request = http.request(`${fake.url}/${embedText.parent.typeName}/EmbedText`, { method: 'POST', headers });
      request.write('{"model": "TEXT_MODEL_TEXT", "texts": ["slow a", "slow b", ');
      const begun = async () => (await (await fetch(`${fake.url}/metrics`)).text()).includes('requests_in_progress 1');
      while (!(await begun()));
      arrivedAtMs = Date.now();
      request.end('"slow c", "slow d"]}');
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      expect(await text(response)).to.include('"embedding"');
    } finally {
      await fake.close();
      collector.close();
    }
    // A clock of milliseconds, rounded down.
    const times = ({ startTimeUnixNano, endTimeUnixNano }: Span) =>
      [startTimeUnixNano, endTimeUnixNano].map((nanoseconds) => Number(nanoseconds) / 1e6 - arrivedAtMs);
    const call = collector.spans.find(({ name }) => name.endsWith('/EmbedText'));
    if (call === undefined) throw new Error('Expected a span of the call');
    const below = collector.spans.filter(({ parentSpanId }) => parentSpanId === call.spanId);
    expect(below.map(({ name }) => name)).to.deep.equal([
      'queue',
      'run',
      'queue',
      'run',
      'queue',
      'run',
      'queue',
      'run',
    ]);
    expect(Math.min(...below.flatMap(times))).to.be.at.least(-2);
    expect(Math.max(...below.flatMap(times))).to.be.at.most(Math.max(...times(call)) + 2);
  });

  it('mark a call as failed by the server’s errors, not by mistakes of its caller', async () => {
    const collector = await startCollector();
    const tracing = await openTracing({ endpoint: collector.url, serviceName: 'test' }, pino({ level: 'silent' }));
    try {
      for (const code of ['OK', 'INVALID_ARGUMENT', 'CANCELLED', 'RESOURCE_EXHAUSTED', 'UNAVAILABLE', 'INTERNAL']) {
        tracing.ended({ path: 'a/B', protocol: 'grpc', code, startedAt: 0, endedAt: 1, stats: {} } as EndedCall);
      }
    } finally {
      await tracing.close();
      collector.close();
    }
    const failed = collector.spans.filter(({ status }) => status.code === 2);
    expect(failed.map(({ status }) => status.message)).to.deep.equal(['UNAVAILABLE', 'INTERNAL']);
    expect(collector.spans.map(({ attributes }) => attribute(attributes, 'heimdex.status'))).to.include('CANCELLED');
  });

  it('have the attributes of OTEL_RESOURCE_ATTRIBUTES, such as the name of the pod', async () => {
    const collector = await startCollector();
    process.env.OTEL_RESOURCE_ATTRIBUTES = 'k8s.pod.name=inference-1,service.name=search';
    try {
      const log = pino({ level: 'silent' });
      const tracing = await openTracing({ endpoint: collector.url, serviceName: 'test' }, log);
      tracing.ended({ path: 'a/B', protocol: 'grpc', code: 'OK', startedAt: 0, endedAt: 1, stats: {} } as EndedCall);
      await tracing.close();
    } finally {
      delete process.env.OTEL_RESOURCE_ATTRIBUTES;
      collector.close();
    }
    expect(attribute(collector.resources[0], 'k8s.pod.name')).to.equal('inference-1');
    expect(attribute(collector.resources[0], 'service.name')).to.equal('search');
  });

  it('do not affect calls if the collector is unavailable, and the log says that they are lost', async () => {
    const collector = await startCollector();
    collector.close();
    const fake = await startFakeServer({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
    try {
      await fake.server.warm;
      const { results } = await fake.client.value(embedText, { texts: ['a'], model: TextModel.TEXT });
      expect(results).to.have.length(1);
    } finally {
      await fake.close();
    }
    expect(JSON.stringify(fake.log)).to.include('traces were lost');
  });

  it('that the collector refuses are logged with its reason, in words', async () => {
    const collector = http.createServer((_request, response) => response.writeHead(401).end()).listen(0, '127.0.0.1');
    await once(collector, 'listening');
    const endpoint = `http://127.0.0.1:${(collector.address() as net.AddressInfo).port}`;
    const lines = new PassThrough();
    const tracing = await openTracing({ endpoint, serviceName: 'test' }, pino(lines));
    try {
      const call = { path: 'a/B', protocol: 'grpc', code: 'OK', startedAt: 0, endedAt: 1, stats: {} };
      // As many as are sent at once, without waiting for more.
      for (let count = 0; count < 512; count++) tracing.ended(call as EndedCall);
      const [line] = await once(lines, 'data');
      expect(JSON.parse(line)).to.include({ msg: 'traces could not be sent', error: 'Unauthorized' });
    } finally {
      await tracing.close();
      collector.close();
    }
  });

  it('continue the trace of a valid header, of later versions as well, and start one for any other', async () => {
    const collector = await startCollector();
    const log = pino({ level: 'silent' });
    const tracing = await openTracing({ endpoint: collector.url, serviceName: 'test' }, log);
    const ids = `${TRACE_ID}-${SPAN_ID}`;
    const headers = [`00-${ids}-01`, `01-${ids}-01`, `cc-${ids}-01-what-comes-later`];
    const invalid = [undefined, '', 'nonsense', `00-${'0'.repeat(32)}-${SPAN_ID}-01`, `ff-${ids}-01`, `00-${ids}-01-x`];
    for (const traceparent of [...headers, ...invalid]) {
      const call = { path: 'a/B', protocol: 'grpc', code: 'OK', startedAt: 0, endedAt: 1, stats: {}, traceparent };
      tracing.ended(call as EndedCall);
    }
    await tracing.close();
    collector.close();
    const parents = collector.spans.map(
      ({ traceId, parentSpanId }) => traceId === TRACE_ID && parentSpanId === SPAN_ID,
    );
    expect(parents).to.deep.equal([...headers.map(() => true), ...invalid.map(() => false)]);
  });
});
