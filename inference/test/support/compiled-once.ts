import { createHash } from 'node:crypto';
import { createReadStream, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CompiledGraph } from '@heimdex/compiler';
import { inRepository } from './paths.js';
import { inCheckpoints } from './real-checkpoints.js';

/** What makes the checkpoints and compiles them. */
const CODE = ['downloader/onnx/dist/src', 'downloader/compiler/dist/src', 'demo/hub/dist/src'];
const FILES = [
  'package-lock.json',
  ...['ctranslate2', 'compiled'].map((name) => `inference/dist/test/support/${name}.js`),
];
const UNUSED_MS = 24 * 3_600_000;

interface Compiled {
  readonly dir: string;
  readonly graphs: readonly CompiledGraph[];
}

/**
 * What `compile` made in a directory, or made there in an earlier run from the same sources with the same options, code and packages on
 * this CPU. It lies beside the trained weights, for a day after its last use; to compile anew, remove it.
 */
export async function compiledOnce(
  sources: readonly string[],
  options: object,
  compile: (dir: string) => Promise<readonly CompiledGraph[]>,
): Promise<Compiled> {
  const root = inCheckpoints('compiled');
  const dir = join(root, await keyOf(sources, options));
  const list = join(dir, 'graphs.json');
  const found = await readFile(list, 'utf8').catch(() => undefined);
  if (found !== undefined) {
    await utimes(dir, new Date(), new Date()).catch(() => {});
    return { dir, graphs: JSON.parse(found) };
  }
  const made = await mkdir(root, { recursive: true })
    .then(() => mkdtemp(join(root, 'making-')))
    .catch(() => undefined);
  if (made === undefined) {
    // The weights may be another user's. The tests' temporary files are removed at their end.
    const ofThisRun = await mkdtemp(join(tmpdir(), 'heimdex-compiled-'));
    return { dir: ofThisRun, graphs: await compile(ofThisRun) };
  }
  try {
    await removeUnused(root);
    const graphs = await compile(made);
    await writeFile(join(made, 'graphs.json'), JSON.stringify(graphs));
    // Another run may have been faster: its directory has the same content.
    await rename(made, dir).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    return { dir, graphs };
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

async function keyOf(sources: readonly string[], options: object): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([options, process.version, cpus()[0]?.model]));
  const code = CODE.flatMap((dir) => {
    const names = readdirSync(inRepository(dir), { recursive: true, encoding: 'utf8' });
    return names
      .filter((name) => name.endsWith('.js'))
      .sort()
      .map((name) => inRepository(`${dir}/${name}`));
  });
  for (const path of [...FILES.map(inRepository), ...code, ...sources]) {
    const ofFile = createHash('sha256');
    for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) ofFile.update(chunk);
    hash.update(ofFile.digest());
  }
  return hash.digest('hex');
}

async function removeUnused(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    const path = join(root, name);
    const usedMs = (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;
    if (Date.now() - usedMs > UNUSED_MS) await rm(path, { recursive: true, force: true });
  }
}
