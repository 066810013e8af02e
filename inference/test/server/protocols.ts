import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { create } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import {
  EmbedTextRequestSchema,
  Health,
  InferenceService,
  HealthCheckResponse_ServingStatus as Serving,
  TextModel,
  VectorEncoding,
} from '@heimdex/gen';
import { expect } from 'chai';
import { GrpcClient, gather } from '../fixtures/grpc-client.js';
import { rawGrpc } from '../fixtures/raw-grpc.js';
import type { ServedVolume } from '../fixtures/serve-volume.js';
import type { ServerProcess } from '../fixtures/server-process.js';
import { COMMIT, DEMO_MODELS } from '../fixtures/volume.js';

const SERVICE = 'heimdex.inference.v1.InferenceService';
const { method } = InferenceService;

async function bodyOf<Body>(response: Response): Promise<Body> {
  return (await response.json()) as Body;
}

/** The tests of the protocols of one port with a server of the small models. */
export function testProtocols(served: () => ServedVolume): void {
  let server: ServerProcess;
  let client: GrpcClient;

  before(() => {
    ({ server } = served());
    client = new GrpcClient(server.address);
  });
  after(() => client?.close());

  const post = (path: string, body: unknown) =>
    fetch(`${server.url}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });

  it('returns the same vector over gRPC, gRPC-Web, Connect and JSON', async () => {
    const request = create(EmbedTextRequestSchema, { texts: ['a red heart'] });
    const web = createClient(InferenceService, createGrpcWebTransport({ baseUrl: server.url, httpVersion: '1.1' }));
    const connect = createClient(InferenceService, createConnectTransport({ baseUrl: server.url, httpVersion: '1.1' }));
    const json = await bodyOf<{ results: { embedding: { values: number[] } }[] }>(
      await post(`${SERVICE}/EmbedText`, { texts: ['a red heart'] }),
    );
    const fromJson = json.results[0]?.embedding.values.map(Math.fround);
    const answers = [
      await client.value(method.embedText, request),
      await web.embedText(request),
      await connect.embedText(request),
    ].map(({ results }) => (results[0]?.result.case === 'embedding' ? results[0].result.value.values : []));
    const [native] = answers;
    expect(native).to.have.length(192);
    for (const vector of [...answers, fromJson]) expect(vector).to.deep.equal(native);
  });

  it('returns the model and the timing in each response', async () => {
    const { model, dimensions, timing } = await client.value(method.embedText, { texts: ['one', 'two'] });
    expect([model?.id, model?.revision, model?.variant]).to.deep.equal(['heimdex/siglip-pocket', COMMIT, 'fp32']);
    expect(dimensions).to.equal(192);
    expect(timing?.runMs).to.be.greaterThan(0);
    expect(timing?.queueMs).to.be.at.least(0);
    expect(timing?.batchSize).to.equal(2);
  });

  it('returns the same vector alone and in a batch with many callers', async () => {
    const texts = Array.from({ length: 64 }, (_, index) => 'one more word '.repeat(1 + (index % 9)) + index);
    const vectorOf = async (text: string) => {
      const { results, timing } = await client.value(method.embedText, { texts: [text] });
      const [result] = results;
      return {
        vector: result?.result.case === 'embedding' ? result.result.value.values : [],
        batchSize: timing?.batchSize ?? 0,
      };
    };
    const together = await Promise.all(texts.map(vectorOf));
    expect(Math.max(...together.map(({ batchSize }) => batchSize))).to.be.greaterThan(1);
    for (const [index, text] of texts.entries()) {
      const alone = await vectorOf(text);
      const cosine = alone.vector.reduce((sum, value, at) => sum + value * (together[index]?.vector[at] ?? 0), 0);
      expect(cosine, text).to.be.greaterThan(0.99999);
    }
  });

  it('returns the same numbers as floats and as bytes', async () => {
    const texts = ['pizza'];
    const floats = await client.value(method.embedText, { texts });
    const bytes = await client.value(method.embedText, { texts, encoding: VectorEncoding.FLOAT32_LE });
    const [one] = floats.results;
    const [other] = bytes.results;
    if (one?.result.case !== 'embedding' || other?.result.case !== 'embedding') throw new Error('no embedding');
    const { float32Le } = other.result.value;
    const view = new DataView(float32Le.buffer, float32Le.byteOffset, float32Le.byteLength);
    const numbers = Array.from({ length: float32Le.byteLength / 4 }, (_, index) => view.getFloat32(index * 4, true));
    expect(numbers).to.deep.equal(one.result.value.values);
    expect(other.result.value.values).to.deep.equal([]);
  });

  it('embeds images and detects faces', async () => {
    const content = await readFile(join(DEMO_MODELS, 'heimdex/face-pocket/golden/g3_640x640.png'));
    const embedded = await client.value(method.embedImage, { images: [{ content }, { content }] });
    expect(embedded.results.map(({ result }) => result.case)).to.deep.equal(['embedding', 'embedding']);
    const found = await client.value(method.detectFaces, { images: [{ content }, { content }] });
    expect(found.timing?.batchSize).to.equal(1);
    const [first] = found.results;
    if (first?.result.case !== 'detections') throw new Error('no detections');
    const { imageWidth, imageHeight, faces } = first.result.value;
    expect([imageWidth, imageHeight]).to.deep.equal([640, 640]);
    expect(faces.length).to.be.greaterThan(0);
    expect(faces[0]?.landmarks?.nose?.x).to.be.within(0, 640);
  });

  it('returns its server info', async () => {
    const info = await client.value(method.getServerInfo, {});
    expect(info.models.map(({ role, family, dimensions }) => [role, family, dimensions])).to.deep.equal([
      ['vision', 'siglip', 192],
      ['faces', 'yunet', 0],
    ]);
    expect(info.models.every(({ memoryBytes, loadSeconds }) => memoryBytes > 0n && loadSeconds > 0)).to.equal(true);
    expect(info.models.map(({ batchPolicy }) => batchPolicy?.shared)).to.deep.equal([true, false]);
    expect(info.models.map(({ batchPolicy }) => batchPolicy?.maxItems)).to.deep.equal([32, 1]);
    expect(info.models.map(({ batchPolicy }) => batchPolicy?.costUnit)).to.deep.equal(['tokens', 'pixels']);
    expect(info.models.every(({ batchPolicy }) => (batchPolicy?.maxCost ?? 0) > 0)).to.equal(true);
    expect(info.limits?.maxBatchItems).to.equal(256);
    expect(info.audioFormats).to.include('wav');
    expect(info.imageFormats).to.include('jpeg');
    expect(info.uptimeSeconds).to.be.greaterThan(0);
  });

  describe('errors', () => {
    it('name the variable that enables a feature', async () => {
      const speech = await client.failure(method.transcribe, { audio: { content: new Uint8Array(10) } });
      expect(speech).to.include({ code: 'UNIMPLEMENTED', reason: 'FEATURE_DISABLED' });
      expect(speech.message).to.include('ASR_MODEL');
      const text = await client.failure(method.embedText, { texts: ['a'], model: TextModel.TEXT });
      expect(text.code).to.equal('UNIMPLEMENTED');
      expect(text.message).to.include('LOAD_BGE_M3');
    });

    it('reject numbers out of range and unknown enum values', async () => {
      const images = [{ content: new Uint8Array() }];
      for (const [request, field] of [
        [{ images, scoreThreshold: 1.5 }, 'score_threshold'],
        [{ images, nmsThreshold: Number.NaN }, 'nms_threshold'],
      ] as const) {
        const error = await client.failure(method.detectFaces, request);
        expect([error.code, ...error.fields]).to.deep.equal(['INVALID_ARGUMENT', field]);
      }
      const unknown = await client.failure(method.embedText, { texts: ['a'], model: 99 as TextModel });
      expect(unknown.fields).to.deep.equal(['model']);
    });

    it('are DEADLINE_EXCEEDED or CANCELLED for calls without a waiting caller', async () => {
      const texts = Array.from({ length: 256 }, (_, index) => `text number ${index}`);
      const late = await client.failure(method.embedText, { texts }, { timeoutMs: 1 });
      expect(late.code).to.equal('DEADLINE_EXCEEDED');
      const cancelled = await client.failure(
        method.embedText,
        { texts },
        { onStart: (cancel) => setImmediate(cancel) },
      );
      expect(cancelled.code).to.equal('CANCELLED');
      await server.logged((line) => line.msg === 'call' && line.code === 'CANCELLED');
    });
  });

  describe('health', () => {
    const check = (service: string) => client.unary(Health.method.check, { service });

    it('reports SERVING for the server, the service and each enabled method', async () => {
      for (const name of ['', SERVICE, `${SERVICE}/EmbedImage`, `${SERVICE}/EmbedText`, `${SERVICE}/DetectFaces`]) {
        const result = await check(name);
        expect(result.ok && result.value.status, name).to.equal(Serving.SERVING);
      }
    });

    it('returns NOT_FOUND for a disabled method, and for any other name', async () => {
      for (const name of [`${SERVICE}/Transcribe`, 'no.such.Service']) {
        const result = await check(name);
        expect(result.ok ? undefined : result.error.code, name).to.equal('NOT_FOUND');
      }
    });

    it('lists its services', async () => {
      const { statuses } = await client.value(Health.method.list, {});
      expect(Object.keys(statuses)).to.have.members([
        '',
        SERVICE,
        ...['EmbedImage', 'EmbedText', 'DetectFaces', 'GetServerInfo'].map((name) => `${SERVICE}/${name}`),
      ]);
    });

    it('streams SERVING immediately, SERVICE_UNKNOWN for an unknown name', async () => {
      for (const [service, status] of [
        ['', Serving.SERVING],
        ['no.such.Service', Serving.SERVICE_UNKNOWN],
      ] as const) {
        const stream = client.serverStream(Health.method.watch, { service });
        const first = await new Promise((resolve) => stream.once('data', resolve));
        expect(first).to.include({ status });
        const ended = gather(stream);
        stream.cancel();
        await ended;
      }
    });

    it('serves plain HTTP as documented', async () => {
      const response = await fetch(`${server.url}/health`);
      expect(response.status).to.equal(200);
      const body = await bodyOf<Record<string, unknown>>(response);
      expect(body).to.include({ status: 'healthy', device: 'cpu' });
      expect(body.models_loaded).to.deep.equal(['siglip', 'yunet']);
      expect(body.memory_used_gb).to.be.within(0.01, 10);
      expect(body.uptime_seconds).to.be.a('number');
      expect((await fetch(`${server.url}/livez`)).status).to.equal(200);
      expect((await fetch(`${server.url}/readyz`)).status).to.equal(200);
      expect((await fetch(`${server.url}/debug`)).status).to.equal(404);
      const posted = await fetch(`${server.url}/health`, { method: 'POST', body: 'x' });
      expect([posted.status, posted.headers.get('allow')]).to.deep.equal([405, 'GET, HEAD']);
      const got = await fetch(`${server.url}/${SERVICE}/EmbedText`);
      expect([got.status, got.headers.get('allow')]).to.deep.equal([405, 'POST']);
    });
  });

  it('takes a whole URL for its path, as callers behind some proxies send it', async () => {
    const port = Number(new URL(server.url).port);
    const statuses = ['http://elsewhere/health', 'HTTPS://elsewhere:1/livez?x', 'http://elsewhere'].map(
      async (path) => {
        const [response] = await once(http.get({ host: '127.0.0.1', port, path }), 'response');
        response.resume();
        return response.statusCode;
      },
    );
    expect(await Promise.all(statuses)).to.deep.equal([200, 200, 404]);
  });

  it('writes one log line per call, without the payload', async () => {
    const headers = { 'x-request-id': 'test-request-7' };
    await client.value(method.embedText, { texts: ['a secret text'] }, { headers });
    const line = await server.logged((entry) => entry.call === 'test-request-7');
    expect(line).to.include({ path: `${SERVICE}/EmbedText`, protocol: 'grpc', code: 'OK', items: 1, batchSize: 1 });
    expect(JSON.stringify(server.log)).not.to.include('secret text');
  });

  it('names the log line of a call in its answer over HTTP, of one that fails as well', async () => {
    const calls = [
      ['application/json', '{"texts":["a"]}', { 'x-request-id': 'test-request-8' }],
      ['application/json', '{"texts":[]}', {}],
      ['application/json', '{"texts":[]}', { 'connect-timeout-ms': '0' }],
      ['application/grpc-web+proto', '\0\0\0\0\0', {}],
    ] as const;
    for (const [type, body, headers] of calls) {
      const options = { method: 'POST', body, headers: { 'content-type': type, ...headers } };
      const id = (await fetch(`${server.url}/${SERVICE}/EmbedText`, options)).headers.get('x-request-id');
      expect(id).to.match('x-request-id' in headers ? /^test-request-8$/ : /^[\da-f-]{36}$/);
      await server.logged((entry) => entry.call === id);
    }
  });

  it('names the log line of a call in the trailers of gRPC, of one that fails or is refused as well', async () => {
    const message = Buffer.from([0, 0, 0, 0, 3, 10, 1, ...Buffer.from('a')]);
    const calls = [
      [message, { 'x-request-id': 'test-request-9' }],
      [Buffer.alloc(5), {}],
      [message, { 'grpc-timeout': '0n' }],
      [Buffer.from([0, 255, 255, 255, 255]), {}],
    ] as const;
    for (const [body, headers] of calls) {
      const id = (await rawGrpc(server.url, `${SERVICE}/EmbedText`, body, headers))['x-request-id'];
      expect(id).to.match('x-request-id' in headers ? /^test-request-9$/ : /^[\da-f-]{36}$/);
      await server.logged((entry) => entry.call === id);
    }
  });

  it('accepts the largest batch without a warning of the runtime', async () => {
    const texts = Array.from({ length: 256 }, (_, index) => `text number ${index}`);
    const { results } = await client.value(method.embedText, { texts }, { headers: { 'x-request-id': 'largest' } });
    expect(results).to.have.length(256);
    await server.logged((entry) => entry.call === 'largest');
    expect(server.stderr()).to.equal('');
  });

  describe('third-party tools', () => {
    const exec = promisify(execFile);
    const toolOr = async (test: Mocha.Context, name: string, ...args: string[]): Promise<string> => {
      try {
        return (await exec(name, args)).stdout;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        console.log(`      skipped: ${name} is not installed`);
        return test.skip();
      }
    };

    it('grpcurl lists the services by reflection and calls them', async function () {
      const list = await toolOr(this, 'grpcurl', '-plaintext', server.address, 'list');
      expect(list.split('\n')).to.include.members([SERVICE, 'grpc.health.v1.Health']);
      const described = await toolOr(this, 'grpcurl', '-plaintext', server.address, 'describe', `${SERVICE}.EmbedText`);
      expect(described).to.include('EmbedTextRequest');
      const health = await toolOr(this, 'grpcurl', '-plaintext', server.address, 'grpc.health.v1.Health/Check');
      expect(JSON.parse(health)).to.deep.equal({ status: 'SERVING' });
      const request = ['-d', '{"texts":["pizza"]}'];
      const answer = JSON.parse(
        await toolOr(this, 'grpcurl', '-plaintext', ...request, server.address, `${SERVICE}/EmbedText`),
      );
      expect(answer.results[0].embedding.values).to.have.length(192);
    });

    it('grpc-health-probe finds it healthy', async function () {
      await toolOr(this, 'grpc-health-probe', `-addr=${server.address}`, `-service=${SERVICE}`);
    });
  });
}
