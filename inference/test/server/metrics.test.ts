import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import { METRICS } from '../../src/telemetry/metrics.js';
import { EMBED_TEXT, envelope, textRequest } from '../fixtures/embed-calls.js';
import { rawGrpc } from '../fixtures/raw-grpc.js';
import { useFakeServer } from '../fixtures/use-fake-server.js';
import { ROOT } from '../fixtures/volume.js';

const { embedText } = InferenceService.method;

describe('metrics', () => {
  const fake = useFakeServer();

  async function scrape(): Promise<{ text: string; value(line: string): number }> {
    const response = await fetch(`${fake.url}/metrics`);
    expect(response.headers.get('content-type')).to.include('text/plain');
    const text = await response.text();
    return {
      text,
      value: (line) =>
        Number(
          text
            .split('\n')
            .find((candidate) => candidate.startsWith(`${line} `))
            ?.split(' ')[1],
        ),
    };
  }

  it('count calls, items, batches, refusals, losses, bytes and memory', async () => {
    await fake.client.value(embedText, textRequest('one', 'two', 'six'));
    await fake.client.failure(embedText, textRequest());
    await fake.client.failure(embedText, textRequest('kill'));
    await fake.loaded(3);
    const { value } = await scrape();
    const call = (code: string) => `heimdex_requests_total{method="EmbedText",protocol="grpc",code="${code}"}`;
    expect(value(call('OK'))).to.equal(1);
    expect(value(call('INVALID_ARGUMENT'))).to.equal(1);
    expect(value(call('UNAVAILABLE'))).to.equal(1);
    expect(value('heimdex_request_seconds_count{method="EmbedText"}')).to.equal(3);
    expect(value('heimdex_items_total{model="bge-m3"}')).to.equal(3);
    expect(value('heimdex_batch_items_bucket{le="2",model="bge-m3"}')).to.equal(0);
    expect(value('heimdex_batch_items_bucket{le="4",model="bge-m3"}')).to.equal(1);
    expect(value('heimdex_queue_seconds_count{model="bge-m3",priority="interactive"}')).to.equal(5);
    expect(value('heimdex_worker_restarts_total{model="bge-m3"}')).to.equal(2);
    expect(value('heimdex_workers_ready{model="bge-m3"}')).to.equal(1);
    expect(value('heimdex_queue_items{model="bge-m3",priority="interactive"}')).to.equal(0);
    expect(value('heimdex_requests_in_progress')).to.equal(0);
    for (const line of ['heimdex_received_bytes_total', 'heimdex_sent_bytes_total', 'heimdex_connections']) {
      expect(value(line), line).to.be.greaterThan(0);
    }
    for (const name of ['server', 'bge-m3'])
      expect(value(`heimdex_memory_bytes{process="${name}"}`)).to.be.greaterThan(1e6);
  });

  it('tell defects from INTERNAL for what a caller compressed wrongly', async () => {
    const headers = { 'grpc-encoding': 'gzip' };
    await rawGrpc(fake.url, EMBED_TEXT, envelope(Buffer.from('no gzip'), 1), headers);
    const internal = 'heimdex_requests_total{method="EmbedText",protocol="grpc",code="INTERNAL"}';
    const defects = 'heimdex_defects_total{method="EmbedText"}';
    const { value } = await scrape();
    expect([value(internal), value(defects)]).to.deep.equal([1, Number.NaN]);
    await fake.client.failure(embedText, textRequest('defect'));
    const after = await scrape();
    expect([after.value(internal), after.value(defects)]).to.deep.equal([2, 1]);
  });

  it('do not double count at each scrape', async () => {
    const first = await scrape();
    const second = await scrape();
    const line = 'heimdex_worker_restarts_total{model="bge-m3"}';
    expect(second.value(line)).to.equal(first.value(line));
  });

  it('include all that the alert rules and the dashboard use', async () => {
    for (const file of ['alerts.yaml', 'grafana-dashboard.json']) {
      const text = await readFile(join(ROOT, 'deploy/monitoring', file), 'utf8');
      const asked = [...text.matchAll(/\b(heimdex_[a-z_]+?)(?:_bucket|_sum|_count)?(?=[^a-z_])/g)].map(
        ([, name]) => name,
      );
      expect(asked.length, file).to.be.greaterThan(5);
      expect(Object.keys(METRICS), file).to.include.members(asked);
    }
  });

  it('are exactly those in docs/server.md', async () => {
    const { text } = await scrape();
    const served = [...text.matchAll(/^# HELP (heimdex_\w+)/gm)].map(([, name]) => name);
    // This server has no certificate.
    const { heimdex_certificate_expires_timestamp_seconds: _, ...expected } = METRICS;
    expect(served).to.have.members(Object.keys(expected));
    const page = await readFile(join(ROOT, 'docs/server.md'), 'utf8');
    const listed = [...page.matchAll(/^\| `(heimdex_\w+)` \| (.+) \|$/gm)].map(([, name, help]) => [name, help]);
    expect(listed).to.have.deep.members(Object.entries(METRICS));
  });
});
