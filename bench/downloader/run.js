// Downloads the same files from the local hub with this downloader and with Python's snapshot_download, alternating, and prints
// the wall time, CPU time and memory of each. See README.md.
import { spawn } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { temporaryDir } from '../support/dir.js';
import { inRepository, readOptions } from '../support/measure.js';

const REPOSITORY = 'bench/many-files';
const MIB = 1024 * 1024;

const {
  mib,
  files: fileCount,
  rounds,
  python,
} = readOptions({
  mib: 1024,
  files: 20,
  rounds: 3,
  python: process.env.HEIMDEX_TEST_PYTHON ?? 'python3',
});
const fileBytes = Math.floor((mib * MIB) / fileCount);

/** Returns the output of a cipher: fast, incompressible, and different for each file. */
async function writeFileOf(path, index) {
  const key = Buffer.alloc(32, index + 1);
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(MIB);
  const file = await open(path, 'w');
  for (let left = fileBytes; left > 0; left -= MIB) {
    await file.write(cipher.update(zeros.subarray(0, Math.min(left, MIB))));
  }
  await file.close();
}

/** Runs a command under GNU time and returns its wall seconds, CPU seconds and peak memory. */
async function measured(command, args, env, dir) {
  const figures = join(dir, 'time.txt');
  const child = spawn('/usr/bin/time', ['-o', figures, '-f', '%e %U %S %M', command, ...args], {
    env: { PATH: process.env.PATH, HOME: dir, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const [status] = await once(child, 'close');
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`);
  const [wall, user, system, kilobytes] = (await readFile(figures, 'utf8')).trim().split(' ').map(Number);
  return { wallSeconds: wall, cpuSeconds: user + system, peakMb: kilobytes / 1000 };
}

async function startHub(dir) {
  const hub = spawn(process.execPath, [inRepository('demo/hub/dist/src/main.js'), dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  hub.stdout.setEncoding('utf8');
  let text = '';
  for await (const chunk of hub.stdout) {
    text += chunk;
    const url = /HF_ENDPOINT=(\S+)/.exec(text)?.[1];
    if (url === undefined) continue;
    process.once('exit', () => hub.kill());
    return { url, stop: () => hub.kill() };
  }
  throw new Error('the hub did not start; run npm run build first');
}

const dir = temporaryDir();
let hub;
try {
  const repository = join(dir, 'hub', REPOSITORY);
  await mkdir(repository, { recursive: true });
  const names = Array.from({ length: fileCount }, (_, index) => `part-${String(index).padStart(3, '0')}.onnx`);
  for (const [index, name] of names.entries()) await writeFileOf(join(repository, name), index);
  const manifest = join(dir, 'models.json');
  const model = {
    name: REPOSITORY,
    role: 'speech',
    family: 'whisper',
    sources: [{ type: 'hf', repository: REPOSITORY }],
    files: names.map((path) => ({ path })),
    variants: { all: [] },
    defaultVariant: 'all',
  };
  await writeFile(manifest, JSON.stringify({ formatVersion: 1, models: [model] }));
  hub = await startHub(join(dir, 'hub'));

  const cache = join(dir, 'cache');
  const shared = { HF_ENDPOINT: hub.url, HF_HUB_CACHE: cache };
  const clients = {
    'this downloader': () =>
      measured(
        process.execPath,
        [inRepository('downloader/bin/heimdex-downloader.js')],
        { ...shared, MODELS_MANIFEST: manifest, ASR_MODEL: REPOSITORY, VISION_MODEL_NAME: 'none' },
        dir,
      ),
    snapshot_download: () =>
      measured(
        python,
        ['-c', `import huggingface_hub; huggingface_hub.snapshot_download(${JSON.stringify(REPOSITORY)})`],
        { ...shared, HF_HUB_DISABLE_XET: '1', HF_HUB_DISABLE_TELEMETRY: '1', HF_HUB_DISABLE_PROGRESS_BARS: '1' },
        dir,
      ),
  };
  const gigabytes = (fileBytes * fileCount) / 1e9;
  console.log(`${fileCount} files, ${gigabytes.toFixed(2)} GB in total, from a local hub`);
  console.log('client             wall s   CPU s/GB   peak MB');
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, run] of Object.entries(clients)) {
      await rm(cache, { recursive: true, force: true });
      const { wallSeconds, cpuSeconds, peakMb } = await run();
      const cpu = (cpuSeconds / gigabytes).toFixed(2);
      console.log(
        `${name.padEnd(18)} ${wallSeconds.toFixed(2).padStart(6)} ${cpu.padStart(10)} ${peakMb.toFixed(0).padStart(9)}`,
      );
    }
  }
} finally {
  hub?.stop();
}
