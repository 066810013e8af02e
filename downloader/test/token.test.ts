import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadConfig } from '../src/config.js';
import { runHere, testEnvironment } from './support/program.js';
import { speechRepository } from './support/repositories.js';
import { useHub } from './support/use-hub.js';

const TOKEN = 'hf_right';

describe("the hub's token", () => {
  const { dir, hub, env } = useHub({ token: TOKEN });

  it('refuses a token that no header can hold, without showing it: exit 2', async () => {
    const result = await runHere([], env({ HF_TOKEN: 'hf_one\nhf_two' }));
    expect(result.status, result.stderr).to.equal(2);
    expect(result.stderr).to.include('HF_TOKEN').and.not.include('hf_one');
    const path = join(dir.path, 'token');
    await writeFile(path, 'hf_\u4e2d\n');
    const fromFile = await runHere([], env({ HF_TOKEN_PATH: path }));
    expect(fromFile.status, fromFile.stderr).to.equal(2);
    expect(fromFile.stderr).to.include(path);
  });

  it('reports a token file that cannot be read; only the default one may be missing: exit 2', async () => {
    const missing = join(dir.path, 'no-token');
    await mkdir(join(dir.path, 'home', 'token'), { recursive: true });
    for (const [where, path] of [
      [{ HF_TOKEN_PATH: missing }, missing],
      [{ HF_HOME: join(dir.path, 'home') }, join(dir.path, 'home', 'token')],
    ] as const) {
      const result = await runHere([], env(where));
      expect(result.status, result.stderr).to.equal(2);
      expect(result.stderr).to.include(`HF_TOKEN_PATH: ${path} cannot be read: `);
    }
    expect((await runHere([], env({ HF_HOME: missing }))).status).to.equal(0);
  });

  it('ignores the default token file of another user, and reports one that HF_TOKEN_PATH names', () => {
    const { HF_HUB_CACHE, HF_HOME = '' } = testEnvironment(dir.path, hub.url);
    const user = process.geteuid?.() ?? 0;
    // The directory of the test is of mode 700.
    if (user === 0) process.seteuid?.(65_534);
    else chmodSync(dir.path, 0);
    try {
      expect(loadConfig({ HF_HUB_CACHE, HF_HOME }).token()).to.equal(undefined);
      const named = loadConfig({ HF_HUB_CACHE, HF_TOKEN_PATH: join(HF_HOME, 'token') });
      expect(() => named.token()).to.throw(/HF_TOKEN_PATH: .* cannot be read: EACCES/);
    } finally {
      if (user === 0) process.seteuid?.(0);
      else chmodSync(dir.path, 0o700);
    }
  });

  it('takes the old name of HF_TOKEN, and says which token the hub rejects: exit 4', async () => {
    await hub.publish({ ...speechRepository(), name: 'acme/private', private: true });
    const HF_TOKEN_PATH = join(dir.path, 'old-token');
    await writeFile(HF_TOKEN_PATH, 'hf_wrong');
    const settings = { ASR_MODEL: 'acme/private', HF_TOKEN_PATH };
    for (const [variables, from] of [
      [{}, HF_TOKEN_PATH],
      [{ HUGGING_FACE_HUB_TOKEN: 'hf_wrong' }, 'HUGGING_FACE_HUB_TOKEN'],
      [{ HF_TOKEN: 'hf_wrong', HUGGING_FACE_HUB_TOKEN: TOKEN }, 'HF_TOKEN'],
    ] as const) {
      const result = await runHere([], env({ ...settings, ...variables }));
      expect(result.status, result.stderr).to.equal(4);
      expect(result.stderr)
        .to.include(`The token in ${from} was rejected`)
        .and.include('or remove it if the repository is public');
    }
    const right = await runHere([], env({ ...settings, HUGGING_FACE_HUB_TOKEN: TOKEN }));
    expect(right.status, right.stderr).to.equal(0);
  });

  it('does not send the token that a login has saved if HF_HUB_DISABLE_IMPLICIT_TOKEN is set', () => {
    const HF_HOME = join(dir.path, 'home');
    const HF_TOKEN_PATH = join(HF_HOME, 'token');
    mkdirSync(HF_HOME);
    writeFileSync(HF_TOKEN_PATH, TOKEN);
    const sent = (more: NodeJS.ProcessEnv) => loadConfig({ HF_HUB_CACHE: dir.path, HF_HOME, ...more }).token()?.value;
    const HF_HUB_DISABLE_IMPLICIT_TOKEN = '1';
    expect(sent({})).to.equal(TOKEN);
    expect(sent({ HF_HUB_DISABLE_IMPLICIT_TOKEN })).to.equal(undefined);
    expect(sent({ HF_HUB_DISABLE_IMPLICIT_TOKEN, HF_TOKEN_PATH })).to.equal(TOKEN);
    expect(sent({ HF_HUB_DISABLE_IMPLICIT_TOKEN, HF_TOKEN: 'hf_given' })).to.equal('hf_given');
  });

  it('expands ~ and variables in the path of the token', async () => {
    await hub.publish({ ...speechRepository(), name: 'acme/private', private: true });
    await mkdir(join(dir.path, 'home', 'hf'), { recursive: true });
    await writeFile(join(dir.path, 'home', 'hf', 'token'), `${TOKEN}\n`);
    const settings = { ASR_MODEL: 'acme/private', HOME: join(dir.path, 'home') };
    for (const where of [{ HF_TOKEN_PATH: '$HOME/hf/token' }, { HF_TOKEN_PATH: '', HF_HOME: '~/hf' }]) {
      const result = await runHere([], env({ ...settings, ...where }));
      expect(result.status, result.stderr).to.equal(0);
    }
  });
});
