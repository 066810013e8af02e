import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { type FakeInference, startFakeInference } from './support/fake-inference.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const execute = promisify(execFile);

const NAMES = ['gen', 'common', 'client'];

const CALLER = `
import { createInferenceClient, type Embeddings, InferenceClientError, valuesOf } from '@heimdex/client';

const client = createInferenceClient({ address: process.argv[2] ?? '' });
try {
  const answer: Embeddings = await client.embedText(['0.6,0.8']);
  const [first] = valuesOf(answer.results);
  const vector: Float32Array | undefined = first?.vector;
  console.log(answer.model.id, vector?.length);
  await client.embedText(['bad']).then(({ results }) => valuesOf(results));
} catch (error) {
  if (error instanceof InferenceClientError) console.log(error.code, error.field);
} finally {
  client.close();
}
// As TypeScript 5 types the body of a request with the libraries that frameworks set.
declare const body: {
  getReader(options: { mode: 'byob' }): { read(view: ArrayBufferView): Promise<unknown> };
  getReader(): { read(): Promise<{ done: false; value: Uint8Array } | { done: true; value: Uint8Array | undefined }> };
};
export const upload = () => client.transcribeStream(body);
declare const process: { argv: string[] };
declare const console: { log(...what: unknown[]): void };
`;

/**
 * An empty project with the packages as npm would publish them. Only the dependencies declared in package.json are
 * linked, to detect missing ones without a registry.
 */
describe('the packed packages in an empty project', () => {
  let project: string;
  let server: FakeInference;
  let packed: readonly { name: string; filename: string; files: readonly { path: string }[] }[];

  before(async () => {
    server = await startFakeInference();
    project = await mkdtemp(join(tmpdir(), 'heimdex-pack-'));
    await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'empty', private: true, type: 'module' }));
    const workspaces = NAMES.map((name) => `--workspace=@heimdex/${name}`);
    const { stdout } = await execute('npm', ['pack', '--json', ...workspaces, '--pack-destination', project], {
      cwd: ROOT,
    });
    packed = JSON.parse(stdout);
    for (const { filename, name } of packed) await install(filename, name);
  });
  after(async () => {
    server.close();
    await rm(project, { recursive: true });
  });

  async function install(filename: string, name: string): Promise<void> {
    const target = join(project, 'node_modules', name);
    await mkdir(target, { recursive: true });
    await execute('tar', ['-xzf', join(project, filename), '--strip-components', '1', '-C', target]);
    const manifest: { dependencies?: Record<string, string> } = JSON.parse(
      await readFile(join(target, 'package.json'), 'utf8'),
    );
    for (const dependency of Object.keys(manifest.dependencies ?? {}).filter((each) => !each.startsWith('@heimdex/'))) {
      const link = join(project, 'node_modules', dependency);
      await mkdir(dirname(link), { recursive: true });
      await symlink(join(ROOT, 'node_modules', dependency), link).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error; // Both packages use it.
      });
    }
  }

  it('type-check strictly and run', async () => {
    await writeFile(join(project, 'caller.ts'), CALLER);
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const strict = ['--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess'];
    const target = ['--module', 'nodenext', '--target', 'es2022', '--types', ''];
    await execute(process.execPath, [tsc, ...strict, ...target, 'caller.ts'], { cwd: project });
    const { stdout } = await execute(process.execPath, ['caller.js', server.address], { cwd: project });
    expect(stdout).to.equal('org/name 2\nINVALID_ARGUMENT texts[0]\n');
  });

  it('are all installed by the commands of docs/client.md', async () => {
    const page = await readFile(join(ROOT, 'docs/client.md'), 'utf8');
    const [, commands = ''] = /^```sh\n(npm pack .*?)^```$/ms.exec(page) ?? [];
    const installed = await readdir(join(project, 'node_modules/@heimdex'));
    for (const name of installed) {
      expect(commands).to.contain(`--workspace=@heimdex/${name} `).and.to.contain(`/heimdex-${name}-0.1.0.tgz`);
    }
  });

  it('name their entry also for tools that do not read exports, such as TypeScript with moduleResolution node', async () => {
    for (const name of NAMES) {
      const manifest = JSON.parse(await readFile(join(project, 'node_modules/@heimdex', name, 'package.json'), 'utf8'));
      expect(manifest.main, name).to.equal(manifest.exports['.'].default);
      expect(manifest.types, name).to.equal(manifest.exports['.'].types);
    }
  });

  it('include the command', async () => {
    const bin = join(project, 'node_modules/@heimdex/client/bin/heimdex.js');
    const { stdout } = await execute(process.execPath, [bin, 'info', '--json', '-a', server.address]);
    expect(JSON.parse(stdout)).to.include({ version: '9.9.9' });
  });

  it('run without sharp, and drawing explains how to install it', async () => {
    const manifest = JSON.parse(await readFile(join(project, 'node_modules/@heimdex/client/package.json'), 'utf8'));
    expect(manifest.dependencies).to.not.have.property('sharp');
    expect(manifest.peerDependenciesMeta).to.deep.equal({ sharp: { optional: true } });
    const bin = join(project, 'node_modules/@heimdex/client/bin/heimdex.js');
    await writeFile(join(project, 'faces.png'), 'image');
    const draw = ['detect-faces', 'faces.png', '--draw', 'drawn.png', '-a', server.address];
    const failed = await execute(process.execPath, [bin, ...draw], { cwd: project }).catch((error) => error);
    expect(failed).to.include({ code: 1 });
    expect(failed.stderr).to.include('Drawing needs the package sharp: npm install sharp');
  });

  it('contain no tests or build leftovers', () => {
    const paths = packed.flatMap(({ files }) => files.map(({ path }) => path));
    expect(paths).to.include('bin/heimdex.js').and.to.have.length.above(100);
    expect(paths.filter((path) => /test|\.map$|tsbuildinfo|\.ts$(?<!\.d\.ts)/.test(path))).to.deep.equal([]);
  });
});
