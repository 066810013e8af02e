import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { ErrorInfoSchema, InferenceService, type Status } from '@heimdex/gen';
import { expect } from 'chai';
import { GrpcClient } from '../fixtures/grpc-client.js';
import type { ServedVolume } from '../fixtures/serve-volume.js';
import type { ServerProcess } from '../fixtures/server-process.js';
import { DEMO_MODELS } from '../fixtures/volume.js';
import { pngBomb } from '../support/png-file.js';

const SERVICE = 'heimdex.inference.v1.InferenceService';
const { detectFaces, embedImage, embedText } = InferenceService.method;

/** The reason of a result's error, or the case of the result. */
function errorMessage(result: { readonly case: string | undefined; readonly value?: unknown }): string | undefined {
  if (result.case !== 'error') return result.case;
  const [detail] = (result.value as Status).details;
  return detail === undefined ? undefined : anyUnpack(detail, ErrorInfoSchema)?.reason;
}

const ONE_PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

/** The tests of hostile input with a server of the small models whose messages have 4 MiB at most. */
export function testHostile(served: () => ServedVolume): void {
  let server: ServerProcess;
  let client: GrpcClient;
  let good: Uint8Array;
  before(async () => {
    ({ server } = served());
    client = new GrpcClient(server.address);
    good = await readFile(join(DEMO_MODELS, 'heimdex/siglip-pocket/golden/pizza-200x120.png'));
  });
  after(() => client?.close());
  afterEach('no worker was lost', () => {
    expect(server.log.filter(({ msg }) => /lost|defect/.test(msg))).to.deep.equal([]);
  });

  it('fails only its own entry of a batch', async () => {
    const images: [string, Uint8Array, string][] = [
      ['good', good, 'embedding'],
      ['empty', new Uint8Array(), 'IMAGE_UNREADABLE'],
      ['a text', Buffer.from('this is a text, not an image'), 'IMAGE_UNREADABLE'],
      ['half an image', good.subarray(0, good.length / 2), 'IMAGE_UNREADABLE'],
      ['a signature alone', good.subarray(0, 8), 'IMAGE_UNREADABLE'],
      ['a bomb of 30,000 by 30,000', pngBomb(30_000, 30_000, 1_048_576), 'IMAGE_TOO_LARGE'],
      ['an image of nothing', pngBomb(0, 0, 1_048_576), 'IMAGE_UNREADABLE'],
      ['one pixel', Buffer.from(ONE_PIXEL, 'base64'), 'IMAGE_UNREADABLE'],
      ['SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), 'IMAGE_UNREADABLE'],
      ['good again', good, 'embedding'],
    ];
    const inputs = images.map(([, content]) => ({ content }));
    const vectors = await client.value(embedImage, { images: inputs });
    const faces = await client.value(detectFaces, { images: inputs });
    for (const [index, [name, , expected]] of images.entries()) {
      expect(errorMessage(vectors.results[index]?.result ?? { case: undefined }), name).to.equal(expected);
      const detected = expected === 'embedding' ? 'detections' : expected;
      expect(errorMessage(faces.results[index]?.result ?? { case: undefined }), name).to.equal(detected);
    }
  });

  it('is accepted as text: empty, very long, malformed, with control characters', async () => {
    const texts = [
      '',
      'x'.repeat(1_000_000),
      '\u0000\u0001\u001b[31m',
      '👩‍👩‍👧‍👦'.repeat(50),
      '<|endoftext|></s><pad>',
      '\u202egnp.exe',
    ];
    const { results } = await client.value(embedText, { texts });
    expect(results.map(({ result }) => result.case)).to.deep.equal(texts.map(() => 'embedding'));
    const [, endless] = results;
    expect(endless?.result.case === 'embedding' && endless.result.value.truncated).to.equal(true);
  });

  it('above the maximum length of the model is an error of that text without truncation', async () => {
    const { results } = await client.value(embedText, { texts: ['short', 'long '.repeat(500)], truncate: false });
    expect(results.map(({ result }) => errorMessage(result))).to.deep.equal(['embedding', 'TEXT_TOO_LONG']);
  });

  it('with too many items is rejected as a whole', async () => {
    const error = await client.failure(embedText, { texts: Array.from({ length: 257 }, () => 'x') });
    expect([error.code, ...error.fields]).to.deep.equal(['INVALID_ARGUMENT', 'texts']);
  });

  it('above the maximum message size is rejected on every protocol', async () => {
    const content = new Uint8Array(5 * 1024 * 1024);
    expect((await client.failure(embedImage, { images: [{ content }] })).code).to.equal('RESOURCE_EXHAUSTED');
    const body = JSON.stringify({ images: [{ content: Buffer.from(content).toString('base64') }] });
    const response = await fetch(`${server.url}/${SERVICE}/EmbedImage`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    expect(response.status).to.equal(429);
  });

  it('that decompresses above the maximum message size is rejected on every protocol', async () => {
    const packed = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '));
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    const url = `${server.url}/${SERVICE}/EmbedText`;
    expect((await fetch(url, { method: 'POST', headers, body: packed })).status).to.equal(429);
    const zipping = new GrpcClient(server.address, undefined, { 'grpc.default_compression_algorithm': 2 });
    try {
      const error = await zipping.failure(embedText, { texts: [' '.repeat(16 * 1024 * 1024)] });
      expect(error.code).to.equal('RESOURCE_EXHAUSTED');
    } finally {
      zipping.close();
    }
  });

  it('does not stop the server', async () => {
    const { results } = await client.value(embedImage, { images: [{ content: good }] });
    expect(results[0]?.result.case).to.equal('embedding');
    expect((await fetch(`${server.url}/health`)).status).to.equal(200);
  });
}
