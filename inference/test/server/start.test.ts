import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, copyFile, mkdtemp, readdir, readFile, rename, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { EXIT_CODES } from '../../src/exit-codes.js';
import { NO_FACES, pocketEnv, pocketVolume } from '../fixtures/pocket.js';
import { PROGRAM, runHere, runProgram } from '../fixtures/server-process.js';
import { ROOT, type Volume } from '../fixtures/volume.js';

const SIGLIP = 'heimdex/siglip-pocket';

describe('the program', () => {
  it('prints its help', async () => {
    const { code, stdout } = await runProgram({}, ['--help']);
    expect(code).to.equal(EXIT_CODES.ok);
    for (const word of ['ASR_MODEL', 'PORT', 'MAX_QUEUE', 'SIGTERM', 'Exit status', 'One of full, quick.'])
      expect(stdout).to.include(word);
    expect(stdout).to.not.include('Default: .');
  });

  it('prints the version of the package', async () => {
    const manifest = JSON.parse(await readFile(join(ROOT, 'inference/package.json'), 'utf8')) as { version: string };
    const { code, stdout } = await runHere({}, ['--version']);
    expect([code, stdout]).to.deep.equal([EXIT_CODES.ok, `${manifest.version}\n`]);
  });

  it('says that an older Node.js is too old, before it starts on it', async () => {
    // NODE_OPTIONS takes double quotes away.
    const older = "data:text/javascript,Object.defineProperty(process,'versions',{value:{node:'18.20.8'}})";
    const { code, stderr } = await runProgram({ NODE_OPTIONS: `--import=${older}` }, ['--version']);
    expect(stderr).to.equal('heimdex-inference needs Node.js 20 or later; this is 18.20.8\n');
    expect(code).to.equal(EXIT_CODES.configuration);
  });

  it('says that it is not built yet', async () => {
    const scratch = await mkdtemp(join(tmpdir(), 'heimdex-test-'));
    try {
      await copyFile(PROGRAM, join(scratch, 'program.mjs'));
      const { status, stderr } = spawnSync(process.execPath, [join(scratch, 'program.mjs')], { encoding: 'utf8' });
      expect(stderr).to.include('not built').and.include('npm run build');
      expect(status).to.equal(EXIT_CODES.unexpected);
    } finally {
      await rm(scratch, { recursive: true });
    }
  });

  it('rejects an unknown option', async () => {
    const { code, stderr } = await runHere({}, ['--fast']);
    expect(code).to.equal(EXIT_CODES.configuration);
    expect(stderr).to.include('--fast').and.include('--help');
  });

  it('reports all invalid variables at once', async () => {
    const { code, stderr, stdout } = await runHere({
      PORT: 'eight',
      FEATURE_FACE: 'perhaps',
      MAX_QUEUE: '-1',
      MAX_CONNECTION_AGE_SECONDS: '0.01',
    });
    expect(code).to.equal(EXIT_CODES.configuration);
    for (const name of ['PORT', 'FEATURE_FACE', 'MAX_QUEUE', 'MAX_CONNECTION_AGE_SECONDS'])
      expect(stderr).to.include(name);
    expect(stdout).to.equal('');
  });

  it('lists the known models for an unknown one', async () => {
    const { code, stderr } = await runHere({ ASR_MODEL: 'enormous' });
    expect(code).to.equal(EXIT_CODES.configuration);
    expect(stderr).to.include('ASR_MODEL').and.include('enormous').and.include('medium');
  });

  it('warns of a misspelt variable, and suggests a model', async () => {
    const { code, stdout } = await runHere({ ASR_MODLE: 'base', HF_HUB_CACHE: '/nowhere' });
    expect(code).to.equal(EXIT_CODES.models);
    expect(stdout).to.include('did you mean ASR_MODEL?');
    const misspelt = await runHere({ ASR_MODEL: 'meduim' });
    expect(misspelt.code).to.equal(EXIT_CODES.configuration);
    expect(misspelt.stderr).to.include('did you mean "medium"?');
  });

  it("warns of a collector's port for gRPC: traces are sent over HTTP", async () => {
    const { stdout } = await runHere({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4317',
      ASR_MODEL: 'base',
      HF_HUB_CACHE: '/nowhere',
    });
    expect(stdout).to.include('OTEL_EXPORTER_OTLP_ENDPOINT').and.include('4318');
  });

  it('does not start without a feature', async () => {
    const { code, stderr } = await runHere({ ASR_MODEL: 'none', VISION_MODEL_NAME: 'none' });
    expect(code).to.equal(EXIT_CODES.configuration);
    expect(stderr).to.include('ASR_MODEL');
  });
});

describe('a faulty volume', () => {
  let volume: Volume;
  beforeEach(async () => {
    volume = await pocketVolume();
  });
  afterEach(() => volume.remove());

  /** Expects the exit status for models and a message with role, file, path, variable and command. */
  async function expectRefusal(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const { code, stderr, stdout } = await runHere({ ...pocketEnv(volume), ...env });
    expect(code, stderr).to.equal(EXIT_CODES.models);
    for (const word of [...words, 'heimdex-downloader download']) expect(stderr).to.include(word);
    return stdout;
  }

  it('is rejected if it does not exist', async () => {
    const nowhere = join(volume.cacheDir, 'nowhere');
    await expectRefusal([nowhere, 'HF_HUB_CACHE'], { HF_HUB_CACHE: nowhere });
  });

  it('is rejected if it is empty', async () => {
    const empty = await mkdtemp(join(tmpdir(), 'heimdex-empty-'));
    try {
      await expectRefusal([empty, 'VISION_MODEL_NAME', SIGLIP], { HF_HUB_CACHE: empty });
    } finally {
      await rm(empty, { recursive: true });
    }
  });

  it('is rejected if a file is missing', async () => {
    const blob = volume.blobOf(SIGLIP, 'onnx/text_model.onnx');
    await unlink(blob);
    await expectRefusal(['vision', 'onnx/text_model.onnx', 'VISION_MODEL_NAME']);
  });

  it('is rejected with all its faults, not only the first', async () => {
    await unlink(volume.blobOf(SIGLIP, 'tokenizer.json'));
    await unlink(join(volume.cacheDir, 'face_detection_pocket.onnx'));
    await expectRefusal(['tokenizer.json', 'face_detection_pocket.onnx', 'VISION_MODEL_NAME', 'FACE_MODEL_NAME']);
  });

  it('is rejected if a file is empty', async () => {
    await truncate(volume.blobOf(SIGLIP, 'config.json'), 0);
    await expectRefusal(['config.json', 'empty']);
  });

  it('is rejected if a file is truncated', async () => {
    const blob = volume.blobOf(SIGLIP, 'onnx/vision_model.onnx');
    await truncate(blob, 100_000);
    await expectRefusal(['onnx/vision_model.onnx']);
  });

  it('is rejected if one bit of a weight is wrong', async () => {
    const blob = volume.blobOf(SIGLIP, 'onnx/vision_model.onnx');
    const bytes = await readFile(blob);
    const middle = Math.floor(bytes.length / 2);
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    await writeFile(blob, bytes);
    const stdout = await expectRefusal(['onnx/vision_model.onnx', 'sha256']);
    expect(stdout, 'never ready').not.to.include('"Ready"');
  });

  it('is rejected if a file has the name of another', async () => {
    const vision = volume.blobOf(SIGLIP, 'onnx/vision_model.onnx');
    const text = volume.blobOf(SIGLIP, 'onnx/text_model.onnx');
    await copyFile(text, vision);
    await expectRefusal(['onnx/vision_model.onnx']);
  });

  it('stops the program, with one fatal line, if a model file is intact but not a model', async () => {
    const blob = volume.blobOf(SIGLIP, 'onnx/vision_model.onnx');
    const junk = Buffer.from('this is no graph');
    // Renamed to its own hash, as a faulty upload would be.
    const name = createHash('sha256').update(junk).digest('hex');
    await writeFile(blob, junk);
    await rename(blob, join(blob, '..', name));
    const pointer = join(volume.cacheDir, 'models--heimdex--siglip-pocket/snapshots');
    const [commit = ''] = await readdir(pointer);
    const link = join(pointer, commit, 'onnx/vision_model.onnx');
    await unlink(link);
    await writeFile(link, junk);
    const { code, stdout } = await runHere({ ...pocketEnv(volume), ...NO_FACES, LOG_FORMAT: 'json' });
    expect(code, stdout).to.equal(EXIT_CODES.worker);
    const fatal = stdout.split('\n').filter((line) => line.includes('"level":"fatal"'));
    expect(fatal).to.have.lengthOf(1);
    expect(fatal[0]).to.include('siglip');
  });

  it('is rejected if a file is unreadable', async function () {
    if (process.getuid?.() === 0) {
      console.log('      skipped: root can read everything');
      return this.skip();
    }
    await chmod(volume.blobOf(SIGLIP, 'onnx/vision_model.onnx'), 0o000);
    await expectRefusal(['onnx/vision_model.onnx']);
  });

  it('is rejected if its models do not fit into memory', async () => {
    const { code, stderr } = await runHere({ ...pocketEnv(volume), MEMORY_LIMIT_GB: '0.25' });
    expect(code).to.equal(EXIT_CODES.memory);
    expect(stderr).to.include(SIGLIP).and.include('MEMORY_LIMIT_GB').and.include('0.25 GB');
  });

  it('passes quick verification if names and sizes are right, whatever the content', async () => {
    const blob = volume.blobOf(SIGLIP, 'onnx/vision_model.onnx');
    await writeFile(blob, (await readFile(blob)).fill(7));
    const { code, stderr } = await runHere({ ...pocketEnv(volume), ...NO_FACES, VERIFY_MODELS: 'quick' });
    expect(code, stderr).to.equal(EXIT_CODES.worker);
    expect(stderr).to.include('The siglip model failed to load');
  });
});

describe('an address', () => {
  it('that is in use is reported with the variable to change', async () => {
    const volume = await pocketVolume();
    const other = net.createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    try {
      const { port } = other.address() as net.AddressInfo;
      const { code, stderr } = await runHere({ ...pocketEnv(volume), PORT: String(port) });
      expect(code).to.equal(EXIT_CODES.address);
      expect(stderr).to.include(String(port)).and.include('PORT').and.include('in use');
    } finally {
      other.close();
      await volume.remove();
    }
  });

  it('that the machine does not have is reported with the variable to change', async () => {
    const volume = await pocketVolume();
    try {
      const { code, stderr } = await runHere({ ...pocketEnv(volume), HOST: '192.0.2.1' });
      expect(code).to.equal(EXIT_CODES.address);
      expect(stderr).to.include('192.0.2.1').and.include('HOST');
      // Of IPv6, with or without the brackets that it has in front of a port.
      for (const HOST of ['2001:db8::1', '[2001:db8::1]']) {
        const ended = await runHere({ ...pocketEnv(volume), HOST, PORT: '8001' });
        expect(ended.code).to.equal(EXIT_CODES.address);
        expect(ended.stderr).to.include(
          'Cannot listen on [2001:db8::1]:8001: this machine has no address 2001:db8::1.',
        );
      }
    } finally {
      await volume.remove();
    }
  });
});
