import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { type Encoded, type EncodingFront, startEncodingFront } from './support/encoding-front.js';
import { lastLine, type ProgramResult, runHere, testEnvironment } from './support/program.js';
import { useHub } from './support/use-hub.js';

/** Packs without much thought: nothing here depends on how small it gets. */
const gzip = (body: Buffer) => gzipSync(body, { level: 1 });
const brotli = (body: Buffer) => brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } });
const GZIP: Encoded = { coding: 'gzip', encode: gzip };
const isJson = (path: string) => path.startsWith('/api/');

describe('responses in an encoding that was not requested', () => {
  const { dir, hub } = useHub({ scope: 'suite' });
  let front: EncodingFront | undefined;
  afterEach(async () => {
    await front?.close();
    front = undefined;
  });

  async function download(encodingOf: (path: string) => Encoded | undefined): Promise<ProgramResult> {
    front = await startEncodingFront(hub.url, encodingOf);
    // Packing and unpacking take this process's own time.
    return runHere([], testEnvironment(dir.path, front.url, { DOWNLOAD_STALL_SECONDS: '60' }));
  }

  async function expectGood(result: ProgramResult): Promise<void> {
    expect(result.status, result.stderr).to.equal(0);
    const verified = await runHere(['verify'], testEnvironment(dir.path, hub.url));
    expect(verified.status, verified.stderr).to.equal(0);
  }

  const codings: Encoded[] = [
    GZIP,
    { coding: 'x-gzip', encode: gzip },
    { coding: 'Deflate', encode: (body) => deflateSync(body) },
    { coding: 'br', encode: brotli },
    { coding: 'identity', encode: (body) => body },
    { coding: 'identity, gzip', encode: gzip },
    { coding: 'gzip, br', encode: (body) => brotli(gzip(body)) },
  ];
  for (const coding of codings) {
    it(`are read all the same: ${coding.coding}`, async () => {
      await expectGood(await download((path) => (isJson(path) ? coding : undefined)));
    });
  }

  it('are decoded if every byte of a file is encoded, and the file is requested in one response', async () => {
    await expectGood(await download(() => GZIP));
    expect(front?.ranges).to.include(undefined);
  });

  it('are refused if the encoding is unknown: exit 5', async () => {
    // The second one is a member of every object in JavaScript.
    for (const [coding, wanted] of [
      ['secret\u00e9', isJson],
      ['constructor', (path: string) => !isJson(path)],
    ] as const) {
      const result = await download((path) => (wanted(path) ? { coding, encode: (x) => x } : undefined));
      expect(result.status, result.stderr).to.equal(5);
      expect(lastLine(result)).to.include({ code: 'ANSWER_INVALID' });
      expect(lastLine(result).msg).to.include(coding.slice(0, 6));
      await front?.close();
      front = undefined;
    }
  });

  const broken: [string, (body: Buffer) => Buffer][] = [
    ['are no gzip', (body) => body],
    ['are cut', (body) => gzip(body).subarray(0, -10)],
  ];
  for (const [what, encode] of broken) {
    it(`are an error if they ${what}: exit 5, for lists and for files`, async () => {
      for (const wanted of [isJson, (path: string) => !isJson(path)]) {
        const result = await download((path) => (wanted(path) ? { coding: 'gzip', encode } : undefined));
        expect(result.status, result.stderr).to.equal(5);
        expect(lastLine(result)).to.include({ code: 'ANSWER_INVALID' });
        await front?.close();
        front = undefined;
      }
    });
  }

  it('are not unpacked past what the file may have, or a list: exit 5 or 7', async () => {
    const bomb = (bytes: number): Encoded => {
      const packed = gzip(Buffer.alloc(bytes, 32));
      return { coding: 'gzip', encode: () => packed };
    };
    const endless = bomb(70 * 1024 * 1024);
    const large = await download((path) => (isJson(path) ? endless : undefined));
    expect(large.status, large.stderr).to.equal(5);
    expect(lastLine(large).msg).to.include('expected at most 64 MiB. Check that HF_ENDPOINT');
    await front?.close();
    const small = bomb(4 * 1024 * 1024);
    const file = await download((path) => (isJson(path) ? undefined : small));
    expect(file.status, file.stderr).to.equal(7);
    expect(lastLine(file)).to.include({ code: 'SIZE_MISMATCH' });
  });
});
