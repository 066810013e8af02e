import { expect } from 'chai';
import { startHub } from '../src/index.js';
import { ask, gitSha1, jsonOf, sha256 } from './support/request.js';
import { GRAPH, TINY, useHub } from './support/use-hub.js';

const FILE = '/me/tiny/resolve/main/onnx/model.onnx';
const CONFIG = '/me/tiny/resolve/main/config.json';

describe('hub', () => {
  const start = useHub();

  describe('the API', () => {
    it('returns the commit of a revision and the names of its files', async () => {
      const hub = await start();
      const { sha } = hub.commit('me/tiny');
      expect(sha).to.match(/^[0-9a-f]{40}$/);
      for (const path of ['', '/revision/main', `/revision/${sha}`]) {
        const info = jsonOf(await ask(`${hub.url}/api/models/me/tiny${path}`));
        expect(info).to.deep.include({ id: 'me/tiny', sha, gated: false, private: false });
        expect(info).to.have.deep.property('siblings', [
          { rfilename: 'config.json' },
          { rfilename: 'onnx/model.onnx' },
        ]);
      }
    });

    it('lists files with git hashes, and large ones with their sha256', async () => {
      const hub = await start();
      const list = jsonOf(await ask(`${hub.url}/api/models/me/tiny/tree/main?recursive=true`));
      const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256(GRAPH)}\nsize 1000\n`;
      expect(list).to.deep.equal([
        { type: 'file', path: 'config.json', size: 13, oid: gitSha1('{"tiny":true}') },
        { type: 'directory', path: 'onnx', size: 0, oid: '0'.repeat(40) },
        {
          type: 'file',
          path: 'onnx/model.onnx',
          size: 1000,
          oid: gitSha1(pointer),
          lfs: { oid: sha256(GRAPH), size: 1000, pointerSize: pointer.length },
        },
      ]);
    });

    it('lists one directory, recursively or not', async () => {
      const hub = await start();
      const paths = async (path: string) =>
        (jsonOf(await ask(`${hub.url}/api/models/me/tiny/tree/${path}`)) as { path: string }[]).map(
          (item) => item.path,
        );
      expect(await paths('main')).to.deep.equal(['config.json', 'onnx']);
      expect(await paths('main/onnx')).to.deep.equal(['onnx/model.onnx']);
      const missing = await ask(`${hub.url}/api/models/me/tiny/tree/main/nothing`);
      expect([missing.status, missing.headers['x-error-code']]).to.deep.equal([404, 'EntryNotFound']);
    });

    it('paginates the list, with the next URL in the Link header', async () => {
      const files = Array.from({ length: 5 }, (_, index) => ({ path: `f${index}`, bytes: 'x' }));
      const hub = await start({ repositories: [{ name: 'me/many', files }], pageSize: 2 });
      const paths: string[] = [];
      let next: string | undefined = `${hub.url}/api/models/me/many/tree/main?recursive=true`;
      while (next !== undefined) {
        const page = await ask(next);
        paths.push(...(jsonOf(page) as { path: string }[]).map((item) => item.path));
        next = /<(.+)>; rel="next"/.exec(page.headers.link ?? '')?.[1];
      }
      expect(paths).to.deep.equal(['f0', 'f1', 'f2', 'f3', 'f4']);
      expect(hub.requests.filter({ kind: 'tree' })).to.have.length(3);
    });

    it('returns single paths, requested as form or JSON, and omits missing ones', async () => {
      const hub = await start();
      const url = `${hub.url}/api/models/me/tiny/paths-info/main`;
      const form = { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' } };
      for (const request of [
        { ...form, body: 'paths=config.json&paths=none' },
        { ...form, headers: { 'content-type': 'application/json' }, body: '{"paths":["config.json","none"]}' },
      ]) {
        const infos = jsonOf(await ask(url, request)) as { path: string }[];
        expect(infos.map((info) => info.path)).to.deep.equal(['config.json']);
      }
    });

    it('responds with the errors of the real hub for missing things', async () => {
      const hub = await start({ repositories: [TINY], token: 'good' });
      const cases: [string, Record<string, string>, number, string | undefined][] = [
        ['/api/models/no/such', {}, 401, 'RepoNotFound'],
        ['/api/models/no/such', { authorization: 'Bearer good' }, 404, 'RepoNotFound'],
        ['/api/models/me/tiny', { authorization: 'Bearer bad' }, 401, undefined],
        ['/api/models/me/tiny/revision/v9', {}, 404, 'RevisionNotFound'],
        ['/me/tiny/resolve/v9/config.json', {}, 404, 'RevisionNotFound'],
        ['/me/tiny/resolve/main/none.json', {}, 404, 'EntryNotFound'],
        ['/somewhere/else', {}, 404, undefined],
      ];
      for (const [path, headers, status, code] of cases) {
        const answer = await ask(hub.url + path, { headers });
        expect([answer.status, answer.headers['x-error-code']], path).to.deep.equal([status, code]);
        expect(jsonOf(answer)).to.have.property('error');
      }
    });
  });

  describe('a file', () => {
    it('that is large is redirected to a signed URL on another server', async () => {
      const hub = await start();
      for (const method of ['HEAD', 'GET']) {
        const answer = await ask(hub.url + FILE, { method });
        expect(answer.status).to.equal(302);
        expect(answer.headers).to.include({
          'x-repo-commit': hub.commit('me/tiny').sha,
          'x-linked-etag': `"${sha256(GRAPH)}"`,
          'x-linked-size': '1000',
          'accept-ranges': 'bytes',
        });
        const location = new URL(answer.headers.location ?? '');
        expect(location.origin).to.equal(hub.cdnUrl).and.not.equal(hub.url);
        const bytes = await ask(location.href, { method });
        expect(bytes.headers).to.include({ 'content-length': '1000', etag: `"${sha256(GRAPH)}"` });
        if (method === 'GET') expect(bytes.body.equals(GRAPH)).to.equal(true);
      }
    });

    it('that is small is served by the hub, after a relative redirect', async () => {
      const hub = await start();
      const answer = await ask(hub.url + CONFIG);
      expect(answer.status).to.equal(307);
      expect(answer.headers.location).to.match(/^\/api\/resolve-cache\//);
      expect(answer.headers['x-linked-etag']).to.equal(`"${gitSha1('{"tiny":true}')}"`);
      const bytes = await ask(hub.url + answer.headers.location);
      expect(bytes.body.toString()).to.equal('{"tiny":true}');
      expect(bytes.headers['x-repo-commit']).to.equal(hub.commit('me/tiny').sha);
    });

    const ranges: [string, number, string, number, number][] = [
      ['bytes=0-9', 206, 'bytes 0-9/1000', 0, 10],
      ['bytes=990-', 206, 'bytes 990-999/1000', 990, 1000],
      ['bytes=-10', 206, 'bytes 990-999/1000', 990, 1000],
      ['bytes=0-', 206, 'bytes 0-999/1000', 0, 1000],
      ['bytes=995-5000', 206, 'bytes 995-999/1000', 995, 1000],
    ];
    for (const [range, status, contentRange, first, last] of ranges) {
      it(`answers Range: ${range} with ${contentRange}`, async () => {
        const hub = await start();
        const { headers } = await ask(hub.url + FILE);
        const answer = await ask(headers.location ?? '', { headers: { range } });
        expect([answer.status, answer.headers['content-range']]).to.deep.equal([status, contentRange]);
        expect(answer.body.equals(GRAPH.subarray(first, last))).to.equal(true);
      });
    }

    it('responds with 416 past its end, and ignores an invalid Range', async () => {
      const hub = await start();
      const { headers } = await ask(hub.url + FILE);
      const past = await ask(headers.location ?? '', { headers: { range: 'bytes=1000-' } });
      expect([past.status, past.headers['content-range']]).to.deep.equal([416, 'bytes */1000']);
      const several = await ask(headers.location ?? '', { headers: { range: 'bytes=0-1,5-6' } });
      expect([several.status, several.body.length]).to.deep.equal([200, 1000]);
    });

    it('is refused for an expired or modified URL, and with a token', async () => {
      let now = 1_000_000;
      const hub = await start({ repositories: [TINY], linkLifetimeMs: 1000, now: () => now });
      const link = (await ask(hub.url + FILE)).headers.location ?? '';
      expect((await ask(link)).status).to.equal(200);
      expect((await ask(link.replace('onnx%2F', 'onnx%2E'))).status).to.equal(403);
      expect((await ask(link, { headers: { authorization: 'Bearer hf_secret' } })).status).to.equal(400);
      now += 1001;
      const late = await ask(link);
      expect(late.status).to.equal(403);
      expect(late.body.toString()).to.include('expired');
    });
  });

  describe('access control', () => {
    const secret = { ...TINY, name: 'me/private', private: true };
    const gated = { ...TINY, name: 'me/gated', gated: true };
    const options = { repositories: [secret, gated], token: 'owner', strangerTokens: ['stranger'] };
    const cases: [string, string | undefined, number, string | undefined][] = [
      ['/me/private/resolve/main/config.json', undefined, 401, 'RepoNotFound'],
      ['/me/private/resolve/main/config.json', 'stranger', 404, 'RepoNotFound'],
      ['/me/private/resolve/main/config.json', 'owner', 307, undefined],
      ['/me/gated/resolve/main/config.json', undefined, 401, 'GatedRepo'],
      ['/me/gated/resolve/main/config.json', 'stranger', 403, 'GatedRepo'],
      ['/me/gated/resolve/main/config.json', 'owner', 307, undefined],
      ['/api/models/me/gated', undefined, 200, undefined],
    ];
    for (const [path, token, status, code] of cases) {
      it(`answers ${status} to ${token ?? 'nobody'} at ${path}`, async () => {
        const hub = await start(options);
        const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
        const answer = await ask(hub.url + path, { headers });
        expect([answer.status, answer.headers['x-error-code']]).to.deep.equal([status, code]);
      });
    }
  });

  it('logs requests with token, path, range and bytes', async () => {
    const hub = await start();
    const { headers } = await ask(hub.url + FILE, { headers: { authorization: 'Bearer x' } }).catch(() => ({
      headers: {},
    }));
    expect(headers).to.not.have.property('location');
    const link = (await ask(hub.url + FILE)).headers.location ?? '';
    await ask(link, { headers: { range: 'bytes=0-99' } });
    expect(hub.requests.count).to.equal(3);
    const [first, , third] = hub.requests.all;
    expect(first).to.include({ server: 'hub', kind: 'resolve', authorization: 'Bearer x', status: 401 });
    expect(third).to.include({
      server: 'cdn',
      kind: 'bytes',
      repository: 'me/tiny',
      file: 'onnx/model.onnx',
      range: 'bytes=0-99',
      status: 206,
      bytesSent: 100,
    });
    hub.requests.clear();
    expect(hub.requests.count).to.equal(0);
  });

  it('reports the next request', async () => {
    const hub = await start();
    const next = hub.requests.next({ kind: 'tree' });
    await ask(`${hub.url}/api/models/me/tiny`);
    await ask(`${hub.url}/api/models/me/tiny/tree/main`);
    expect((await next).url).to.equal('/api/models/me/tiny/tree/main');
  });

  it('closes idempotently and ends open responses', async () => {
    const hub = await start({ repositories: [TINY], faults: [{ on: { kind: 'info' }, do: { type: 'silence' } }] });
    const arrived = hub.requests.next();
    const waiting = ask(`${hub.url}/api/models/me/tiny`).catch((error: NodeJS.ErrnoException) => error.code);
    await arrived;
    await Promise.all([hub.close(), hub.close()]);
    expect(await waiting).to.equal('ECONNRESET');
  });

  it('rejects if its port is in use', async () => {
    const hub = await start();
    const port = Number(new URL(hub.url).port);
    const outcome = await startHub({ port }).catch((error: NodeJS.ErrnoException) => error.code);
    expect(outcome).to.equal('EADDRINUSE');
  });
});
