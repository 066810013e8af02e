import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EXIT_CODES } from '@heimdex/inference';
import { expect } from 'chai';
import { type EmbeddedServer, startEmbeddedServer } from './embedded.js';
import { has, ROOT, read } from './support.js';

const readme = read('README.md');
const reference = read('docs/reference.md');
const licences = read('LICENSES.md');

/** The commands in a page's ```sh blocks, one per line, with continued lines joined. */
function commandsOf(page: string): string[] {
  return [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
    .map(([, block = '']) => block.replace(/\\\n\s*/g, ''))
    .flatMap((block) => block.split('\n'))
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line !== '');
}

/** The anchors of a page's headings, as GitHub makes them. */
function headingsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-'),
  );
}

const commands = [...commandsOf(readme), ...commandsOf(read('docs/openai.md'))];

describe('README.md', function () {
  this.timeout(120_000);

  for (const page of [
    ...[
      'README.md',
      'CONTRIBUTING.md',
      'SECURITY.md',
      'LICENSES.md',
      'deploy/README.md',
      'deploy/SCALE.md',
      'bench/README.md',
    ],
    ...['client', 'client/python', 'demo', 'demo/hub', 'downloader', 'downloader/cache', 'inference'].map(
      (dir) => `${dir}/README.md`,
    ),
    ...readdirSync(join(ROOT, 'docs'))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  ]) {
    it(`and the other pages link to existing files and headings: ${page}`, () => {
      const links = [...read(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)];
      const broken = links.filter(([, path = '', heading]) => {
        const target = path === '' ? page : join(dirname(page), path);
        return !existsSync(join(ROOT, target)) || (heading !== undefined && !headingsOf(target).includes(heading));
      });
      expect(broken.map(([link]) => link)).to.deep.equal([]);
    });
  }

  it("lists the server's exit statuses", () => {
    const section = reference.slice(reference.indexOf('### heimdex-inference\n'), reference.indexOf('### heimdex\n'));
    const listed = [...section.matchAll(/^\| `(\d+)` \| `(\w+)` \|/gm)].map(([, status, name]) => [
      name,
      Number(status),
    ]);
    expect(Object.fromEntries(listed)).to.deep.equal({ ...EXIT_CODES });
  });

  it('lists exactly the production dependencies under the LGPL', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { license?: string; dev?: boolean }>;
    };
    const found = Object.entries(packages)
      .filter(([, { license = '', dev }]) => license.includes('GPL') && dev !== true)
      // sharp has a package for each platform.
      .map(([path]) => path.replace(/^.*node_modules\//, '').replace(/^@img\/sharp-.*/, '@img/sharp-…'));
    const named = [...licences.matchAll(/^\| `([^`]+)` \| LGPL/gm)].map(([, name]) => name);
    expect(named.sort()).to.deep.equal([...new Set(found)].sort());
  });

  it('mentions only existing npm scripts', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = [...readme.matchAll(/npm run ([\w:]+)/g)].map(([, name = '']) => name);
    expect(named.filter((name) => !(name in scripts))).to.deep.equal([]);
  });

  describe('with a server with the embedded models', () => {
    let served: EmbeddedServer;

    before(async () => {
      served = await startEmbeddedServer();
    });

    after(() => served?.close());

    const runnable = commands.filter((line) =>
      /^(npx heimdex (?!--help)|curl |grpcurl |npx heimdex\S* --help$)/.test(line),
    );

    it('has runnable commands', () => {
      expect(runnable.length).to.be.greaterThan(8);
    });

    for (const line of runnable) {
      it(`runs: ${line}`, function () {
        const [program = ''] = line.split(' ');
        if (program !== 'npx' && !has(program, '--version')) {
          console.log(`      ${program} is not installed`);
          this.skip();
        }
        const own = line
          .replace('npx ', '')
          .replace(/^curl /, 'curl --fail-with-body ')
          .replaceAll('localhost:8001', served.address)
          // The pages name the default model; the embedded one is served.
          .replaceAll('google/siglip-so400m-patch14-384', 'heimdex/siglip-pocket')
          .replaceAll('demo/samples', join(ROOT, 'demo/samples'));
        const { status, stdout, stderr } = spawnSync('bash', ['-c', own], {
          env: served.env,
          cwd: served.dir,
          encoding: 'utf8',
        });
        expect(status, stderr + stdout).to.equal(0);
        expect(stdout + stderr).to.not.equal('');
      });
    }

    it('has working TypeScript code', async () => {
      const code = /^```ts\n([\s\S]*?)^```$/m.exec(readme)?.[1] ?? '';
      const file = join(dirname(new URL(import.meta.url).pathname), 'readme-example.mjs');
      await writeFile(file, code.replace('localhost:8001', served.address));
      const { status, stdout, stderr } = spawnSync(process.execPath, [file], { env: served.env, encoding: 'utf8' });
      await rm(file);
      expect(status, stderr).to.equal(0);
      expect(stdout).to.include('Float32Array');
    });
  });
});
