import type { Fault } from '@heimdex/hub';
import { expect } from 'chai';
import { lastLine, type ProgramResult, runHere } from './support/program.js';
import { SPEECH_REPOSITORY, speechRepository } from './support/repositories.js';
import { useHub } from './support/use-hub.js';

describe('a download from a hub that asks who it is', () => {
  const { dir, hub, env } = useHub({ token: 'hf_right', strangerTokens: ['hf_stranger'] });

  async function run(faults: readonly Fault[], more: NodeJS.ProcessEnv = {}): Promise<ProgramResult> {
    hub.faults.add(...faults);
    return runHere([], env(more));
  }

  it('ends at once on 401, 403 and 404, without a second try', async () => {
    for (const status of [401, 403, 404]) {
      hub.faults.clear();
      hub.requests.clear();
      const result = await run([{ on: { kind: 'info' }, do: { type: 'status', status } }]);
      expect(result.status).to.equal(status === 404 ? 3 : 4);
      expect(hub.requests.count).to.equal(1);
    }
  });

  it('advises a user and a password as well where a server asks for them', async () => {
    const headers = { 'www-authenticate': 'Basic realm="mirror"' };
    const result = await run([{ on: { kind: 'info' }, do: { type: 'status', status: 401, headers } }]);
    expect(lastLine(result).msg).to.include('set HF_TOKEN, or write a user and a password into HF_ENDPOINT');
  });

  it('names the page on which to accept the licence of a repository', async () => {
    await hub.publish({ ...speechRepository(), name: 'acme/gated', gated: true });
    const result = await runHere([], env({ ASR_MODEL: 'acme/gated', HF_TOKEN: 'hf_stranger' }));
    expect(result.status).to.equal(4);
    expect(lastLine(result)).to.include({ code: 'ACCESS_DENIED' });
    expect(lastLine(result).msg).to.include(`${hub.url}/acme/gated`);
  });

  it('tells a token that a redirect to another host did not get from one that was rejected', async () => {
    await hub.publish({ ...speechRepository(), name: 'acme/private', private: true });
    const { port } = new URL(hub.url);
    const location = `http://localhost:${port}/api/models/acme/private/revision/main`;
    hub.faults.add({ on: { kind: 'info' }, do: { type: 'redirect', location }, times: 1 });
    const result = await runHere([], env({ ASR_MODEL: 'acme/private', HF_TOKEN: 'hf_right' }));
    expect(result.status, result.stderr).to.equal(4);
    expect(lastLine(result).msg).to.include(`127.0.0.1:${port} redirects there`).and.not.include('rejected');
  });

  it('sends the token to the hub and never to the host it redirects to, and never logs it', async () => {
    await hub.publish({ ...speechRepository(), name: 'acme/private', private: true });
    const result = await runHere([], env({ ASR_MODEL: 'acme/private', HF_TOKEN: 'hf_right', LOG_LEVEL: 'debug' }));
    expect(result.status, result.stderr).to.equal(0);
    const cdn = hub.requests.filter({ server: 'cdn' });
    expect(cdn.length).to.be.greaterThan(0);
    expect(cdn.filter((request) => request.authorization !== undefined)).to.deep.equal([]);
    const sent = new Set(hub.requests.filter({ server: 'hub' }).map((request) => request.authorization));
    expect([...sent]).to.deep.equal(['Bearer hf_right']);
    expect(result.stderr).not.to.include('hf_right');
  });

  it('sends the user and the password of the address with each request to the hub, and no token with them', async () => {
    const address = { HF_ENDPOINT: hub.url.replace('//', '//us%40er:p%3Ass@') };
    const both = await runHere([], env({ ...address, HF_TOKEN: 'hf_right' }));
    expect([both.status, hub.requests.count]).to.deep.equal([2, 0]);
    expect(lastLine(both).msg).to.match(/HF_ENDPOINT .* HF_TOKEN/);
    const page = `${hub.url}/api/models/${SPEECH_REPOSITORY}/tree/${hub.commit(SPEECH_REPOSITORY).sha}`;
    const headers = { link: `<${page}?recursive=true>; rel="next"` };
    const result = await run(
      [{ on: { kind: 'tree' }, do: { type: 'status', status: 200, headers, body: '[]' }, times: 1 }],
      address,
    );
    expect(result.status, result.stderr).to.equal(0);
    const sent = new Set(hub.requests.filter({ server: 'hub' }).map((request) => request.authorization));
    expect([...sent]).to.deep.equal([`Basic ${btoa('us@er:p:ss')}`]);
    const refused = await run([{ on: { kind: 'info' }, do: { type: 'status', status: 401 } }], {
      ...address,
      HF_HUB_CACHE: dir.path,
    });
    expect(refused.status).to.equal(4);
    expect(lastLine(refused).msg).to.include('HF_ENDPOINT').and.not.include('ss@');
  });

  it('follows a renamed repository with the token', async () => {
    await hub.publish({ ...speechRepository(), name: 'acme/new-name', private: true, formerNames: ['acme/old-name'] });
    const result = await runHere([], env({ ASR_MODEL: 'acme/old-name', HF_TOKEN: 'hf_right' }));
    expect(result.status, result.stderr).to.equal(0);
  });
});
