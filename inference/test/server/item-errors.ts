import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { createRegistry, fromBinary } from '@bufbuild/protobuf';
import { base64Encode } from '@bufbuild/protobuf/wire';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { BadRequestSchema, ErrorInfoSchema, InferenceService, RetryInfoSchema } from '@heimdex/gen';
import { expect } from 'chai';
import { ERROR_DETAIL_TYPES } from '../../src/services/errors.js';
import { GrpcClient } from '../fixtures/grpc-client.js';
import type { ServedVolume } from '../fixtures/serve-volume.js';
import type { ServerProcess } from '../fixtures/server-process.js';

const SERVICE = 'heimdex.inference.v1.InferenceService';
/** 2 by 2 pixels. */
const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGPkPMHJwMDAxMDAwMDAAAAKYgDehHpfrAAAAABJRU5ErkJggg==';
const GOOD = { content: PNG };
const BAD = { content: base64Encode(new TextEncoder().encode('hello')) };
const LONG = 'long '.repeat(300);

interface JsonDetail {
  readonly '@type': string;
  readonly reason?: string;
  readonly domain?: string;
}
interface JsonResult {
  readonly embedding?: { readonly values?: readonly number[] };
  readonly detections?: object;
  readonly error?: { readonly code: number; readonly message: string; readonly details: readonly JsonDetail[] };
}

/** The tests of item errors with a server of the small models, which has refused no image for its size. */
export function testItemErrors(served: () => ServedVolume): void {
  let server: ServerProcess;

  before(() => {
    ({ server } = served());
  });

  const post = (method: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
    fetch(`${server.url}/${SERVICE}/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  const resultsOf = async (response: Response) =>
    ((await response.json()) as { readonly results: readonly JsonResult[] }).results;

  for (const [method, value, body, reason] of [
    ['EmbedImage', 'embedding', { images: [GOOD, BAD] }, 'IMAGE_UNREADABLE'],
    ['DetectFaces', 'detections', { images: [GOOD, BAD] }, 'IMAGE_UNREADABLE'],
    ['EmbedText', 'embedding', { texts: ['a dog', LONG], truncate: false }, 'TEXT_TOO_LONG'],
  ] as const) {
    it(`appear next to the other results in JSON: ${method}`, async () => {
      const response = await post(method, body);
      expect(response.status).to.equal(200);
      const [good, bad] = await resultsOf(response);
      expect(good?.[value]).to.be.an('object');
      expect(bad?.error?.code).to.equal(3);
      expect(bad?.error?.details[0]).to.deep.equal({
        '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
        reason,
        domain: 'heimdex.inference.v1',
      });
    });
  }

  it('appear in JSON when every item failed, in any order', async () => {
    const results = await resultsOf(await post('EmbedImage', { images: [BAD, GOOD, BAD, BAD] }));
    expect(results.map(({ error }) => error?.details[0]?.reason)).to.deep.equal([
      'IMAGE_UNREADABLE',
      undefined,
      'IMAGE_UNREADABLE',
      'IMAGE_UNREADABLE',
    ]);
    expect((await resultsOf(await post('DetectFaces', { images: [BAD] })))[0]?.error?.code).to.equal(3);
  });

  it('work over gRPC-Web and Connect, in binary and JSON', async () => {
    const image = (content: string) => ({ content: Buffer.from(content, 'base64') });
    const request = { images: [image(PNG), image(BAD.content)] };
    // JSON with details can only be parsed if their types are registered.
    const jsonOptions = { registry: createRegistry(...ERROR_DETAIL_TYPES) };
    for (const useBinaryFormat of [true, false]) {
      const options = { baseUrl: server.url, httpVersion: '1.1', useBinaryFormat } as const;
      for (const transport of [
        createGrpcWebTransport({ ...options, jsonOptions }),
        createConnectTransport({ ...options, jsonOptions }),
      ]) {
        const { results } = await createClient(InferenceService, transport).embedImage(request);
        expect(results.map(({ result }) => result.case)).to.deep.equal(['embedding', 'error']);
        const error = results[1]?.result.value as { readonly details: readonly { readonly value: Uint8Array }[] };
        const info = fromBinary(ErrorInfoSchema, error.details[0]?.value ?? new Uint8Array());
        expect(info.reason).to.equal('IMAGE_UNREADABLE');
      }
    }
  });

  it('are counted by method and reason, and logged with their call', async () => {
    const before = await counted('EmbedImage', 'IMAGE_UNREADABLE');
    expect(await counted('DetectFaces', 'IMAGE_TOO_LARGE'), 'a zero for a rate to start from').to.equal(0);
    await post('EmbedImage', { images: [BAD, GOOD, BAD] }, { 'x-request-id': 'two-of-three' });
    expect((await counted('EmbedImage', 'IMAGE_UNREADABLE')) - before).to.equal(2);
    const line = await server.logged((entry) => entry.call === 'two-of-three');
    expect(line).to.deep.include({ code: 'OK', items: 3, itemErrors: 2, itemErrorReasons: { IMAGE_UNREADABLE: 2 } });
  });

  it('hide the decoder’s message, which is logged', async () => {
    const broken = Buffer.from(PNG, 'base64').fill(0x41, 45);
    const headers = { 'x-request-id': 'broken-png' };
    const answer = await (
      await post('EmbedImage', { images: [{ content: broken.toString('base64') }, GOOD] }, headers)
    ).text();
    const { causes } = await server.logged((entry) => entry.call === 'broken-png');
    expect(causes).to.be.an('array').with.length(1);
    const [cause = ''] = causes as readonly string[];
    expect(cause).to.match(/^Error: ./);
    expect(answer).to.include('do not decode').and.not.include(cause.slice('Error: '.length));
  });

  async function counted(method: string, reason: string): Promise<number> {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    const line = `heimdex_item_errors_total{method="${method}",reason="${reason}"} `;
    const found = text.split('\n').find((candidate) => candidate.startsWith(line));
    return Number(found?.slice(line.length));
  }

  it('have detail types that reflection can resolve', async () => {
    expect(ERROR_DETAIL_TYPES).to.have.members([ErrorInfoSchema, BadRequestSchema, RetryInfoSchema]);
    const client = new GrpcClient(server.address);
    try {
      for (const version of ['v1', 'v1alpha'] as const)
        for (const { typeName } of ERROR_DETAIL_TYPES)
          expect(await client.reflected(typeName, version), typeName).to.include('google/rpc/error_details.proto');
    } finally {
      client.close();
    }
  });

  it('are printed by grpcurl, as are the details of a failed call', async function () {
    const grpcurl = async (method: string, body: unknown) => {
      try {
        const args = ['-plaintext', '-d', JSON.stringify(body), server.address, `${SERVICE}/${method}`];
        return (await promisify(execFile)('grpcurl', args)).stdout;
      } catch (error) {
        const { code, stderr } = error as NodeJS.ErrnoException & { readonly stderr: string };
        if (code !== 'ENOENT') return stderr;
        console.log('      skipped: grpcurl is not installed');
        return this.skip();
      }
    };
    const answer = await grpcurl('EmbedImage', { images: [GOOD, BAD] });
    expect(answer).to.include('"@type": "type.googleapis.com/google.rpc.ErrorInfo"').and.include('IMAGE_UNREADABLE');
    const refusal = await grpcurl('EmbedImage', {});
    expect(refusal).to.include('"@type": "type.googleapis.com/google.rpc.BadRequest"');
    expect(refusal).to.include('"field": "images"').and.not.include('"@value"');
  });
}
