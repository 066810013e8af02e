import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Fault } from '@heimdex/hub';
import { expect } from 'chai';
import { expectVerified, lastLine, type ProgramResult, runHere } from './support/program.js';
import { ENCODER, SPEECH_REPOSITORY } from './support/repositories.js';
import { useHub } from './support/use-hub.js';

const WEB_PAGE = { headers: { 'content-type': 'text/html; charset=utf-8' }, body: '<html>login</html>' };
const onEncoder = { kind: 'bytes', file: ENCODER } as const;

const fileList = (about: object) => JSON.stringify([{ type: 'file', path: 'a.onnx', size: 3, ...about }]);

describe('a download through a bad network', () => {
  const { dir, hub, env } = useHub();

  async function run(faults: readonly Fault[], more: NodeJS.ProcessEnv = {}): Promise<ProgramResult> {
    hub.faults.add(...faults);
    return runHere([], env(more));
  }

  async function expectGood(result: ProgramResult): Promise<void> {
    hub.faults.clear();
    await expectVerified(result, env());
  }

  /** Names of the encoder's blob that exist under its final name. */
  async function publishedBlobs(): Promise<string[]> {
    const oid = hub.commit(SPEECH_REPOSITORY).files.get(ENCODER)?.lfsOid;
    const names = await readdir(join(dir.path, 'cache', 'models--acme--speech', 'blobs'));
    return names.filter((name) => name === oid);
  }

  const passing: readonly { name: string; faults: readonly Fault[]; env?: NodeJS.ProcessEnv }[] = [
    { name: 'a connection refused at first', faults: [{ on: { kind: 'info' }, do: { type: 'refuse' }, times: 2 }] },
    {
      name: 'a file list answered 503',
      faults: [{ on: { kind: 'tree' }, do: { type: 'status', status: 503 }, times: 2 }],
    },
    { name: 'a file answered 500', faults: [{ on: onEncoder, do: { type: 'status', status: 500 }, times: 3 }] },
    {
      name: 'a file answered 522 by a proxy',
      faults: [{ on: onEncoder, do: { type: 'status', status: 522 }, times: 2 }],
    },
    { name: 'a file answered 408', faults: [{ on: onEncoder, do: { type: 'status', status: 408 }, times: 1 }] },
    {
      name: 'a connection cut in the middle of a file',
      faults: [{ on: onEncoder, do: { type: 'drop', atByte: 300_000 }, times: 3 }],
    },
    {
      name: 'a connection cut before the first byte of a file',
      faults: [{ on: onEncoder, do: { type: 'drop', atByte: 0 }, times: 2 }],
    },
    {
      name: 'a request that is never answered',
      faults: [{ on: { kind: 'resolve', file: ENCODER }, do: { type: 'silence' }, times: 1 }],
      env: { DOWNLOAD_STALL_SECONDS: '0.4' },
    },
    { name: 'a flipped bit', faults: [{ on: onEncoder, do: { type: 'flip', atByte: 123_456 }, times: 1 }] },
    {
      name: 'a flipped bit in a plain file',
      faults: [{ on: { kind: 'bytes', file: 'tokenizer.json' }, do: { type: 'flip', atByte: 1_234 }, times: 1 }],
    },
    {
      name: 'a body that ends early and is marked as incomplete',
      faults: [{ on: onEncoder, do: { type: 'truncate', missingBytes: 5_000 }, times: 1 }],
    },
    { name: 'a server that ignores ranges', faults: [{ on: onEncoder, do: { type: 'ignore-range' } }] },
    {
      name: 'a server that ignores ranges and cuts the connection',
      faults: [
        { on: onEncoder, do: { type: 'ignore-range' } },
        { on: onEncoder, do: { type: 'drop', atByte: 300_000 }, times: 2 },
      ],
    },
    {
      name: 'an address that has expired',
      faults: [{ on: { server: 'cdn', file: ENCODER }, do: { type: 'expire' }, times: 2 }],
    },
    {
      name: 'an address that expires between two parts',
      faults: [{ on: { server: 'cdn', file: ENCODER }, do: { type: 'expire' }, after: 3, times: 1 }],
    },
    {
      name: 'an address that has expired by the answer 400, as of Google Cloud Storage and of S3 with a temporary key',
      faults: [
        { on: { server: 'cdn', file: ENCODER }, do: { type: 'status', status: 400 }, times: 1 },
        { on: { server: 'cdn', file: ENCODER }, do: { type: 'status', status: 400 }, after: 4, times: 1 },
      ],
    },
    {
      name: 'a slow but steady sender',
      faults: [{ on: onEncoder, do: { type: 'slow', partBytes: 100_000, pauseMs: 60 } }],
      env: { DOWNLOAD_STALL_SECONDS: '0.3', DOWNLOAD_PIECE_MIB: '16' },
    },
    {
      name: 'a rate limit that asks for a pause',
      faults: [
        {
          on: { kind: 'resolve', file: ENCODER },
          do: { type: 'status', status: 429, headers: { 'retry-after': '0' } },
          times: 2,
        },
      ],
    },
  ];
  for (const { name, faults, env: more } of passing) {
    it(`passes ${name}`, async () => {
      await expectGood(await run(faults, more));
    });
  }

  it('asks the hub again for a file whose store can no longer be reached', async () => {
    const store = createServer(async ({ headers: { range = '' } }, response) => {
      const answer = await fetch(`${hub.url}/${SPEECH_REPOSITORY}/resolve/main/${ENCODER}`, { headers: { range } });
      response.writeHead(206, { 'content-range': answer.headers.get('content-range') ?? '', connection: 'close' });
      response.end(Buffer.from(await answer.arrayBuffer()));
      store.close();
    }).listen(0, '127.0.0.1');
    await once(store, 'listening');
    const location = `http://127.0.0.1:${(store.address() as AddressInfo).port}/`;
    const fault: Fault = {
      on: { server: 'hub', kind: 'resolve', file: ENCODER },
      do: { type: 'redirect', location },
      times: 1,
    };
    await expectGood(await run([fault], { DOWNLOAD_ATTEMPTS: '2', DOWNLOAD_CONNECTIONS: '1' }));
  });

  const refused: readonly {
    name: string;
    faults: readonly Fault[];
    env?: NodeJS.ProcessEnv;
    status: number;
    code: string;
    says: RegExp;
  }[] = [
    {
      name: 'bytes that are wrong twice, naming both hashes',
      faults: [{ on: onEncoder, do: { type: 'flip', atByte: 5 } }],
      status: 7,
      code: 'HASH_MISMATCH',
      says: /expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}/,
    },
    {
      name: 'a size that is not the listed one',
      faults: [{ on: onEncoder, do: { type: 'lie-size', deltaBytes: 100 } }],
      status: 7,
      code: 'SIZE_MISMATCH',
      says: /expected 700000 bytes, got 700100/,
    },
    {
      name: 'a hub that is down',
      faults: [{ on: { kind: 'info' }, do: { type: 'refuse' } }],
      status: 5,
      code: 'UNREACHABLE',
      says: /run the command again/,
    },
    {
      name: 'a hub that stays silent',
      faults: [{ on: { kind: 'info' }, do: { type: 'silence' } }],
      env: { DOWNLOAD_STALL_SECONDS: '0.1' },
      status: 5,
      code: 'STALLED',
      says: /no byte for 0\.1 s.*DOWNLOAD_STALL_SECONDS/,
    },
    {
      name: 'a hub that keeps failing',
      faults: [{ on: { kind: 'tree' }, do: { type: 'status', status: 502 } }],
      status: 5,
      code: 'SERVER_FAILED',
      says: /answered 502/,
    },
    {
      name: 'a rate limit that does not end',
      faults: [{ on: onEncoder, do: { type: 'status', status: 429 } }],
      status: 5,
      code: 'RATE_LIMITED',
      says: /too many requests/,
    },
    {
      name: 'a connection that is always cut at the same byte',
      faults: [{ on: onEncoder, do: { type: 'drop', atByte: 100_000 } }],
      status: 5,
      code: 'UNREACHABLE',
      says: /resumes where it stopped/,
    },
    {
      name: 'a store that refuses every signed address',
      faults: [{ on: { server: 'cdn', file: ENCODER }, do: { type: 'expire' } }],
      status: 4,
      code: 'ACCESS_DENIED',
      says: /clock/,
    },
    {
      name: 'an answer with more headers than Node.js takes by itself, which is read',
      faults: [
        { on: { kind: 'info' }, do: { type: 'status', status: 410, headers: { 'x-policy': 'a'.repeat(40_000) } } },
      ],
      status: 3,
      code: 'NOT_FOUND',
      says: /\(410\)/,
    },
    {
      name: 'redirects in a circle',
      faults: [
        {
          on: { server: 'hub', kind: 'resolve', file: ENCODER },
          do: { type: 'redirect', location: `/acme/speech/resolve/main/${ENCODER}` },
        },
      ],
      status: 5,
      code: 'REDIRECT_REFUSED',
      says: /more than \d+ times/,
    },
    {
      name: 'a redirect to another kind of address',
      faults: [
        {
          on: { server: 'hub', kind: 'resolve', file: ENCODER },
          do: { type: 'redirect', location: 'ftp://example.com/x' },
        },
      ],
      status: 5,
      code: 'REDIRECT_REFUSED',
      says: /ftp:/,
    },
    {
      name: 'an answer that is no JSON',
      faults: [{ on: { kind: 'tree' }, do: { type: 'status', status: 200, body: '<html>login</html>' } }],
      status: 5,
      code: 'ANSWER_INVALID',
      says: /JSON/,
    },
    {
      name: 'the web page of a login in the place of an answer, naming it',
      faults: [{ on: { kind: 'tree' }, do: { type: 'status', status: 200, ...WEB_PAGE } }],
      status: 5,
      code: 'ANSWER_INVALID',
      says: /JSON\. The answer is a web page, .*: open http:\S+\/tree\/\S+ in a browser/,
    },
    {
      name: 'the web page of a login in the place of a file, naming it',
      faults: [{ on: onEncoder, do: { type: 'status', status: 200, ...WEB_PAGE } }],
      status: 5,
      code: 'ANSWER_INVALID',
      says: /something else\. The answer is a web page/,
    },
    {
      name: 'the web page of a firewall that forbids a file, asking for no token',
      faults: [{ on: { kind: 'resolve' }, do: { type: 'status', status: 403, ...WEB_PAGE } }],
      status: 4,
      code: 'ACCESS_DENIED',
      says: /refuses \S+ of acme\/speech at \S+ \(403\)\. The answer is a web page, .* in a browser\. Then run/,
    },
    ...(
      [
        ['a status that nobody expects', { kind: 'tree' }, 418, {}, '', /answered 418 for .*, expected 200/],
        ['a redirect to nowhere', { kind: 'resolve' }, 302, {}, '', /answered 302 without a usable Location/],
        ['a range that does not say which', onEncoder, 206, {}, 'x', /sent a range of .* without Content-Range/],
        [
          'another range than was requested',
          onEncoder,
          206,
          { 'content-range': 'bytes 9-9/700000' },
          'x',
          /sent bytes from position 9, expected 0/,
        ],
        [
          'ranges of encoded bytes, also where the whole file is requested',
          onEncoder,
          206,
          { 'content-encoding': 'gzip', 'content-range': 'bytes 0-0/9' },
          'x',
          /an encoded range of .*, where the whole file was requested/,
        ],
        ['a file list without hashes', { kind: 'tree' }, 200, {}, fileList({}), /"path" and a 40-digit "oid"/],
        [
          'a file list with a large file without its sha256',
          { kind: 'tree' },
          200,
          {},
          fileList({ oid: '0'.repeat(40), lfs: { oid: 'sha256', size: 3 } }),
          /a 64-digit "lfs\.oid" and a size for a\.onnx/,
        ],
      ] as const
    ).map(([name, on, answered, headers, body, says]) => ({
      name,
      faults: [{ on, do: { type: 'status', status: answered, headers, body } }] as const,
      status: 5,
      code: 'ANSWER_INVALID',
      says,
    })),
  ];
  for (const { name, faults, env: more, status, code, says } of refused) {
    it(`fails on ${name}: exit ${status}`, async () => {
      const result = await run(faults, more);
      expect(result.status, result.stderr).to.equal(status);
      expect(lastLine(result)).to.include({ level: 'error', code });
      expect(lastLine(result).msg).to.match(says);
    });
  }

  it('publishes nothing of a file whose bytes are wrong', async () => {
    await run([{ on: onEncoder, do: { type: 'flip', atByte: 5 } }]);
    expect(await publishedBlobs()).to.deep.equal([]);
  });

  it('refuses a file list with a path that leads out of the cache', async () => {
    hub.faults.add({
      on: { kind: 'tree' },
      do: {
        type: 'status',
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify([{ type: 'file', path: '../../../outside', size: 3, oid: '0'.repeat(40) }]),
      },
    });
    const result = await runHere([], env());
    expect(result.status).to.equal(7);
    expect(lastLine(result).msg).to.include('../../../outside');
  });

  it('fetches the parts of a large file over several connections', async () => {
    const result = await run([]);
    await expectGood(result);
    const ranges = hub.requests.filter({ kind: 'bytes', file: ENCODER }).map((request) => request.range);
    expect(new Set(ranges).size).to.equal(Math.ceil(700_000 / 65_536));
  });

  it('retries the one connection that stalls and leaves the others alone', async () => {
    const result = await run([{ on: onEncoder, do: { type: 'stall', atByte: 200_000 }, times: 1 }], {
      // A busy machine pauses too.
      DOWNLOAD_STALL_SECONDS: '2',
    });
    await expectGood(result);
    const requests = hub.requests.filter({ kind: 'bytes', file: ENCODER });
    expect(requests.length).to.equal(Math.ceil(700_000 / 65_536) + 1);
  });

  it('resumes a broken connection at the byte where it broke', async () => {
    await run([{ on: onEncoder, do: { type: 'drop', atByte: 300_000 }, times: 1 }], { DOWNLOAD_PIECE_MIB: '16' });
    const ranges = hub.requests.filter({ kind: 'bytes', file: ENCODER, server: 'cdn' }).map((request) => request.range);
    expect(ranges).to.have.length(2);
    expect(ranges[1]).to.match(/^bytes=[1-9]\d*-699999$/);
  });
});
