import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { embeddedRepositories, type Hub, startHub } from '@heimdex/hub';
import { EXIT_CODES } from '@heimdex/inference';
import { expect } from 'chai';
import { has, ROOT, read } from './support.js';

const readme = read('README.md');

/** The commands of the README's ```sh blocks, a line each; continued lines are joined. */
const commands = [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
  .map(([, block = '']) => block.replace(/\\\n\s*/g, ''))
  .flatMap((block) => block.split('\n'))
  .map((line) => line.replace(/\s+#.*$/, '').trim())
  .filter((line) => line !== '');

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('Expected a TCP port');
  return address.port;
}

describe('README.md', function () {
  this.timeout(120_000);

  it('leads to files that are there', () => {
    const links = [...readme.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)].map(([, path = '']) => path);
    expect(links.length).to.be.greaterThan(5);
    expect(links.filter((path) => !existsSync(join(ROOT, path)))).to.deep.equal([]);
  });

  it("lists the server's exit statuses", () => {
    const section = readme.slice(readme.indexOf('heimdex-inference:\n'), readme.indexOf('heimdex:\n'));
    const listed = [...section.matchAll(/^\| `(\d+)` \|/gm)].map(([, status]) => Number(status));
    expect(listed).to.deep.equal(Object.values(EXIT_CODES));
  });

  it('names scripts that package.json has', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = [...readme.matchAll(/npm run ([\w:]+)/g)].map(([, name = '']) => name);
    expect(named.filter((name) => !(name in scripts))).to.deep.equal([]);
  });

  describe('against a server of the embedded models', () => {
    let hub: Hub;
    let folder: string;
    let server: ChildProcess;
    let address: string;
    let env: NodeJS.ProcessEnv;

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'heimdex-readme-'));
      hub = await startHub({ repositories: await embeddedRepositories() });
      address = `127.0.0.1:${await freePort()}`;
      env = {
        PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}`,
        HOME: folder,
        MODELS_DIR: folder,
        ASR_MODEL: 'moonshine-tiny',
        VISION_MODEL_NAME: 'heimdex/siglip-pocket',
        FEATURE_FACE: 'true',
        FACE_MODEL_NAME: 'heimdex/face-pocket',
        HF_ENDPOINT: hub.url,
        HEIMDEX_ADDRESS: address,
        PORT: address.split(':')[1],
        HOST: '127.0.0.1',
      };
      const downloader = spawn('heimdex-downloader', { env, stdio: 'ignore' });
      expect(await once(downloader, 'close')).to.deep.equal([0, null]);
      server = spawn('heimdex-inference', { env, stdio: 'ignore' });
      const ready = spawnSync('heimdex', ['health', '--wait', '60'], { env, encoding: 'utf8' });
      expect(ready.status, ready.stderr).to.equal(0);
    });

    after(async () => {
      if (server !== undefined && server.exitCode === null) {
        server.kill('SIGTERM');
        await once(server, 'close');
      }
      await hub?.close();
      await rm(folder, { recursive: true, force: true });
    });

    const harmless = commands.filter((line) =>
      /^(npx heimdex (?!--help)|curl |grpcurl |npx heimdex\S* --help$)/.test(line),
    );

    it('has commands to try', () => {
      expect(harmless.length).to.be.greaterThan(8);
    });

    for (const line of harmless) {
      it(`runs: ${line}`, function () {
        const [program = ''] = line.split(' ');
        if (program !== 'npx' && !has(program, '--version')) {
          console.log(`      ${program} is not here`);
          this.skip();
        }
        const own = line
          .replace('npx ', '')
          .replaceAll('localhost:8001', address)
          .replaceAll('demo/samples', join(ROOT, 'demo/samples'));
        const { status, stdout, stderr } = spawnSync('bash', ['-c', own], { env, cwd: folder, encoding: 'utf8' });
        expect(status, stderr + stdout).to.equal(0);
        expect(stdout + stderr).to.not.equal('');
      });
    }

    it('shows TypeScript that runs', async () => {
      const code = /^```ts\n([\s\S]*?)^```$/m.exec(readme)?.[1] ?? '';
      const file = join(dirname(new URL(import.meta.url).pathname), 'readme-example.mjs');
      await writeFile(file, code.replace('localhost:8001', address));
      const { status, stdout, stderr } = spawnSync(process.execPath, [file], { env, encoding: 'utf8' });
      await rm(file);
      expect(status, stderr).to.equal(0);
      expect(stdout).to.include('Float32Array');
    });
  });
});
