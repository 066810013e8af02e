import { execFile, spawnSync } from 'node:child_process';
import { cp, rm, symlink, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { type EmbeddedServer, startEmbeddedServer } from './embedded.js';
import { testPythonClient } from './python-client.js';
import { has, ROOT, read } from './support.js';

const execute = promisify(execFile);
const SAMPLES = join(ROOT, 'demo/samples');
const EXAMPLES = join(ROOT, 'client/examples');
/** A Python with the example's requirements, as installed by .ci/peers. */
const PYTHON = process.env.HEIMDEX_TEST_PYTHON ?? 'python3';

/** A program that runs lines `heimdex ...` as its process does, one after the other. */
const COMMANDS = `
import { runCli } from ${JSON.stringify(join(ROOT, 'client/dist/src/cli/program.js'))};
const { signal } = new AbortController();
for (const line of process.argv.slice(2)) {
  const [, ...args] = [...line.matchAll(/"([^"]*)"|\\S+/g)].map(([word, quoted]) => quoted ?? word);
  const status = await runCli(args, { ...process, signal });
  if (status !== 0) throw new Error(line + ' ended with ' + status);
  console.log('=====');
}
process.exit();
`;

/** Returns a PATH in which the template's `python3` is PYTHON. */
function pathWithPython(): string {
  const path = process.env.PATH ?? '';
  return PYTHON.includes('/') ? [dirname(PYTHON), path].join(delimiter) : path;
}

/** Returns the code blocks of one language on a page, in order. */
function blocks(page: string, language: string): string[] {
  return [...read(page).matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(
    (match) => match[1] ?? '',
  );
}

/** The commands in a page's ```sh blocks, one per line, with continued lines joined. */
function commandsOf(page: string): string[] {
  return blocks(page, 'sh')
    .map((block) => block.replace(/\\\n\s*/g, ''))
    .flatMap((block) => block.split('\n'))
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line !== '');
}

describe('on a real server', () => {
  let server: EmbeddedServer;

  before(async () => {
    // Limits that the tests of the Python client go beyond; the pages need room for 24 images.
    server = await startEmbeddedServer({ MAX_BATCH_ITEMS: '24', MAX_MESSAGE_MIB: '4' });
    const { dir } = server;
    await cp(join(SAMPLES, 'speech/search.flac'), join(dir, 'speech.flac'));
    await cp(join(ROOT, 'inference/test/audio/cases/faststart_video_loses_end.mp4'), join(dir, 'video.mp4'));
    await cp(join(SAMPLES, 'faces/faces_2.png'), join(dir, 'people.png'));
    await cp(join(SAMPLES, 'images'), join(dir, 'images'), {
      recursive: true,
      filter: (path) => !/\.(json|md)$/.test(path),
    });
    await symlink(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
    await writeFile(join(dir, 'package.json'), '{"type":"module"}');
  });
  after(() => server?.close());

  /** Writes a program of a page to the server's directory. */
  async function writeProgram(name: string, code: string): Promise<void> {
    await writeFile(join(server.dir, name), code.replaceAll('localhost:8001', server.address));
  }

  const runNode = async (name: string) =>
    (await execute(process.execPath, [name], { cwd: server.dir, env: server.env })).stdout;

  describe('README.md and docs/openai.md', () => {
    const runnable = [...commandsOf('README.md'), ...commandsOf('docs/openai.md')].filter((line) =>
      /^(npx heimdex (?!--help)|curl |grpcurl |npx heimdex\S* --help$)/.test(line),
    );

    it('have runnable commands', () => {
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
          .replaceAll('localhost:8001', server.address)
          // The pages name the default model; the embedded one is served.
          .replaceAll('google/siglip-so400m-patch14-384', 'heimdex/siglip-pocket')
          .replaceAll('demo/samples', join(ROOT, 'demo/samples'));
        const { status, stdout, stderr } = spawnSync('bash', ['-c', own], {
          env: server.env,
          cwd: server.dir,
          encoding: 'utf8',
        });
        expect(status, stderr + stdout).to.equal(0);
        expect(stdout + stderr).to.not.equal('');
      });
    }

    it('have working TypeScript code', async () => {
      await writeProgram('readme-example.js', blocks('README.md', 'ts')[0] ?? '');
      expect(await runNode('readme-example.js')).to.include('Float32Array');
    });
  });

  it('docs/client.md has programs that type-check and print the documented output', async () => {
    const programs = blocks('docs/client.md', 'ts');
    const names = programs.map((_code, index) => `program-${index}.ts`);
    for (const [index, code] of programs.entries()) await writeProgram(names[index] ?? '', code);
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const options = '--strict --skipLibCheck --noUncheckedIndexedAccess --module nodenext --target es2022 --types node';
    await execute(process.execPath, [tsc, ...options.split(' '), ...names], { cwd: server.dir });
    // One process runs them all, and ends if each has closed what it opened.
    const imports = names.map((name) => `await import('./${name.replace('.ts', '.js')}');`);
    await writeProgram('programs.js', imports.join("console.log('=====');\n"));
    const outputs = (await runNode('programs.js')).split('=====\n');
    const [transcribe, batches, streams, video, errors, restart] = outputs;
    expect(outputs).to.have.length(6);
    expect(transcribe).to.match(/^You can search a video by the words/);
    expect(batches)
      .to.contain('24 images, 192 dimensions, by heimdex/siglip-pocket')
      .and.to.contain('best: 06-elephant.jpg');
    expect(streams).to.match(/You can search[\s\S]*6\.13 s of en/);
    expect(video).to.match(/ask not what your country can do for you/i);
    expect(errors).to.match(/^INVALID_ARGUMENT INVALID_ARGUMENT texts\n/);
    expect(restart).to.equal('192 dimensions\n');
  });

  it('docs/client.md has commands that print the documented output', async () => {
    const [, commands = ''] = blocks('docs/client.md', 'sh');
    const lines = commands.trim().split('\n');
    // Most of a command's time is the start of Node.js: one process runs those that need no shell.
    const plain = lines.filter((line) => /^heimdex [^|]*$/.test(line));
    await writeProgram('commands.js', COMMANDS);
    const { stdout } = await execute(process.execPath, ['commands.js', ...plain], { cwd: server.dir, env: server.env });
    const outputs = new Map(stdout.split('=====\n').map((output, index) => [plain[index] ?? '', output]));
    for (const line of lines.filter((line) => !plain.includes(line))) {
      outputs.set(line, (await execute('sh', ['-c', line], { cwd: server.dir, env: server.env })).stdout);
    }
    const first = (start: string) => [...outputs].find(([line]) => line.startsWith(start))?.[1] ?? '';
    expect(first('heimdex transcribe speech.flac')).to.match(/^You can search a video/);
    expect(first('heimdex transcribe speech.flac --format srt')).to.match(
      /^1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\nYou can/,
    );
    expect(first('cat speech.flac')).to.match(/^You can search a video/);
    expect(JSON.parse(first('heimdex embed-text')).vector).to.have.length(192);
    expect(first('heimdex search "a red heart"')).to.match(/^1\. .*01-red-heart\.png/);
    expect(first('heimdex index')).to.contain('24 images (24 embedded');
    expect(first('heimdex search "an elephant"')).to.match(/^1\. .*06-elephant\.jpg/);
    expect(first('heimdex search --like')).to.match(/^1\. +1\.000 .*16-bicycle\.png/);
    expect(first('heimdex detect-faces')).to.match(/^people\.png: 3 faces in 800 x 600 -> drawn\.png/);
    expect(first('heimdex info')).to.contain('heimdex/siglip-pocket');
    expect(first('heimdex health')).to.match(/^the server +SERVING/);
  });

  it('client/examples has a working Python example', async function () {
    const found = spawnSync(PYTHON, ['-c', 'import grpc_tools, grpc_status']);
    if (found.status !== 0) {
      console.log('      skipped: pip install -r client/examples/python/requirements.txt');
      this.skip();
    }
    const dir = join(EXAMPLES, 'python');
    await generate('python');
    const { stdout } = await execute(PYTHON, [join(dir, 'caller.py'), ...(await callerArguments())]);
    expectCaller(stdout, 'INVALID_ARGUMENT');
  });

  it('client/examples has a working Go example', async function () {
    if (process.env.TEST_GO !== '1' || spawnSync('go', ['version']).status !== 0) {
      console.log('      skipped: needs Go, a module proxy and TEST_GO=1; the first run is slow');
      this.skip();
    }
    this.timeout(600_000);
    await generate('go');
    const { stdout } = await execute('go', ['run', '.', ...(await callerArguments())], { cwd: join(EXAMPLES, 'go') });
    expectCaller(stdout, 'InvalidArgument');
  });

  describe('the Python client', () => testPythonClient(() => server));

  async function generate(language: 'python' | 'go'): Promise<void> {
    const dir = join('client/examples', language);
    await rm(join(ROOT, dir, 'generated'), { recursive: true, force: true });
    const buf = join(ROOT, 'node_modules/.bin/buf');
    await execute(buf, ['generate', '--template', join(dir, 'buf.gen.yaml'), '-o', dir], {
      cwd: ROOT,
      env: { ...process.env, PATH: pathWithPython() },
    });
  }

  async function callerArguments(): Promise<string[]> {
    const images = ['05-cat-face.png', '06-elephant.jpg', '07-penguin.png'].map((name) =>
      join(server.dir, 'images', name),
    );
    return [server.address, join(server.dir, 'speech.flac'), ...images];
  }

  function expectCaller(output: string, code: string): void {
    expect(output).to.contain('transcript: You can search a video');
    expect(output).to.contain('elephant: 06-elephant.jpg');
    expect(output).to.match(new RegExp(`refused: ${code} .* texts`));
  }
});
