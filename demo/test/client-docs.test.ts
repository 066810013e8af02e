import { execFile, spawnSync } from 'node:child_process';
import { chmod, cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { DEMO_DIR, PROJECT_DIR } from '../src/options.js';
import { type LiveServer, startLiveServer } from './support/live-server.js';

const execute = promisify(execFile);
const SAMPLES = join(DEMO_DIR, 'samples');
const EXAMPLES = join(PROJECT_DIR, 'client/examples');
/** A Python with the example's requirements, as installed by .ci/peers. */
const PYTHON = process.env.HEIMDEX_TEST_PYTHON ?? 'python3';

/** Returns a PATH in which the template's `python3` is PYTHON. */
function pathWithPython(): string {
  const path = process.env.PATH ?? '';
  return PYTHON.includes('/') ? [dirname(PYTHON), path].join(delimiter) : path;
}

/** Returns the code blocks of one language on a page, in order. */
function blocks(page: string, language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map((match) => match[1] ?? '');
}

describe("the client's documentation, on a real server", () => {
  let server: LiveServer;
  let page: string;
  let env: NodeJS.ProcessEnv;

  before(async () => {
    server = await startLiveServer();
    page = (await readFile(join(PROJECT_DIR, 'docs/client.md'), 'utf8')).replaceAll('localhost:8001', server.address);
    const { dir } = server;
    await cp(join(SAMPLES, 'speech/search.flac'), join(dir, 'speech.flac'));
    await cp(join(PROJECT_DIR, 'inference/test/audio/cases/faststart_video_loses_end.mp4'), join(dir, 'video.mp4'));
    await cp(join(SAMPLES, 'faces/faces_2.png'), join(dir, 'people.png'));
    await cp(join(SAMPLES, 'images'), join(dir, 'images'), {
      recursive: true,
      filter: (path) => !/\.(json|md)$/.test(path),
    });
    await symlink(join(PROJECT_DIR, 'node_modules'), join(dir, 'node_modules'));
    await writeFile(join(dir, 'package.json'), '{"type":"module"}');
    await mkdir(join(dir, 'bin'));
    const command = `#!/bin/sh\nexec "${process.execPath}" "${join(PROJECT_DIR, 'client/bin/heimdex.js')}" "$@"\n`;
    await writeFile(join(dir, 'bin/heimdex'), command);
    await chmod(join(dir, 'bin/heimdex'), 0o755);
    env = {
      ...process.env,
      HEIMDEX_ADDRESS: server.address,
      PATH: [join(dir, 'bin'), process.env.PATH].join(delimiter),
    };
  });
  after(() => server.close());

  it('has programs that type-check and print the documented output', async () => {
    const { dir } = server;
    const programs = blocks(page, 'ts');
    const names = programs.map((_program, index) => `program-${index}.ts`);
    for (const [index, program] of programs.entries()) await writeFile(join(dir, names[index] ?? ''), program);
    const tsc = join(PROJECT_DIR, 'node_modules/typescript/bin/tsc');
    const options = [
      '--strict',
      '--skipLibCheck',
      '--noUncheckedIndexedAccess',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--types',
      'node',
    ];
    await execute(process.execPath, [tsc, ...options, ...names], { cwd: dir });
    const outputs: string[] = [];
    for (const name of names) {
      outputs.push((await execute(process.execPath, [name.replace('.ts', '.js')], { cwd: dir })).stdout);
    }
    const [transcribe, batches, streams, video, errors] = outputs;
    expect(outputs).to.have.length(5);
    expect(transcribe).to.match(/^You can search a video by the words/);
    expect(batches)
      .to.contain('24 images, 192 dimensions, by heimdex/siglip-pocket')
      .and.to.contain('best: 06-elephant.jpg');
    expect(streams).to.match(/You can search[\s\S]*6\.13 s of en/);
    expect(video).to.match(/ask not what your country can do for you/i);
    expect(errors).to.match(/^INVALID_ARGUMENT INVALID_ARGUMENT texts\n/);
  });

  it('has commands that print the documented output', async () => {
    const [, commands = ''] = blocks(page, 'sh');
    const outputs = new Map<string, string>();
    for (const line of commands.trim().split('\n')) {
      outputs.set(line, (await execute('sh', ['-c', line], { cwd: server.dir, env })).stdout);
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

  it('has a working Python example', async function () {
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

  it('has a working Go example', async function () {
    if (process.env.TEST_GO !== '1' || spawnSync('go', ['version']).status !== 0) {
      console.log('      skipped: needs Go, a module proxy and TEST_GO=1; the first run is slow');
      this.skip();
    }
    this.timeout(600_000);
    await generate('go');
    const { stdout } = await execute('go', ['run', '.', ...(await callerArguments())], { cwd: join(EXAMPLES, 'go') });
    expectCaller(stdout, 'InvalidArgument');
  });

  async function generate(language: 'python' | 'go'): Promise<void> {
    const dir = join('client/examples', language);
    await rm(join(PROJECT_DIR, dir, 'generated'), { recursive: true, force: true });
    const buf = join(PROJECT_DIR, 'node_modules/.bin/buf');
    await execute(buf, ['generate', '--template', join(dir, 'buf.gen.yaml'), '-o', dir], {
      cwd: PROJECT_DIR,
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
