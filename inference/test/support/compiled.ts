import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type CompiledGraph, type CompileOptions, compileCheckpoint } from '@heimdex/compiler';
import type { HubFile, HubRepository } from '@heimdex/hub';
import type { LoadOptions, ModelFiles } from '../../src/models/model.js';
import { compiledOnce } from './compiled-once.js';
import { OPTIONS } from './paths.js';

/** A repository's small files and what its checkpoint was compiled to, as the server finds them. */
export interface CompiledRepository {
  readonly files: ModelFiles;
  readonly options: LoadOptions;
  readonly graphs: readonly CompiledGraph[];
  remove(): Promise<void>;
}

type Options = Partial<Pick<CompileOptions, 'precision' | 'overflowSafe' | 'emptyText'>>;

/**
 * Lays a repository out in a temporary directory and compiles its checkpoint there, as the downloader does.
 *
 * @param checkpoint - The file to compile, by its path in the repository.
 */
export function compileRepository(
  repository: HubRepository,
  checkpoint = 'model.safetensors',
  options: Options = {},
): Promise<CompiledRepository> {
  return laidOut(repository, async (dir) => {
    const compiled = join(dir, 'compiled');
    await mkdir(compiled);
    return { dir: compiled, graphs: await compileTo(compiled, join(dir, checkpoint), dir, options) };
  });
}

/**
 * As compileRepository, for trained weights, which take long: what the same code made of the same files before is used again.
 *
 * @param checkpoint - What model.safetensors is made from, and its bytes or where it lies.
 */
export function compileTrained(
  repository: HubRepository,
  checkpoint: { readonly sources: readonly string[]; readonly make: () => HubFile },
  options: Options = {},
): Promise<CompiledRepository> {
  return laidOut(repository, async (dir) =>
    compiledOnce([join(dir, 'config.json'), ...checkpoint.sources], options, async (to) => {
      const file = checkpoint.make();
      await putFile(dir, file);
      return compileTo(to, join(dir, file.path), dir, options);
    }),
  );
}

/** @param dir - Has config.json. */
async function compileTo(
  to: string,
  checkpoint: string,
  dir: string,
  options: Options,
): Promise<readonly CompiledGraph[]> {
  const config = JSON.parse(await readFile(join(dir, 'config.json'), 'utf8'));
  const defaults = { precision: 'int8', overflowSafe: true } as const;
  return (await compileCheckpoint({ checkpoint, config, dir: to, ...defaults, ...options })).graphs;
}

async function laidOut(
  repository: HubRepository,
  compile: (dir: string) => Promise<{ readonly dir: string; readonly graphs: readonly CompiledGraph[] }>,
): Promise<CompiledRepository> {
  const dir = await mkdtemp(join(tmpdir(), 'heimdex-compiled-'));
  try {
    for (const file of repository.files) await putFile(dir, file);
    const compiled = await compile(dir);
    const weights = Object.fromEntries(compiled.graphs.map(({ role }) => [role, join(compiled.dir, `${role}.onnx`)]));
    const externalFiles = compiled.graphs.flatMap(({ files }) => files.map(({ name }) => join(compiled.dir, name)));
    return {
      files: { id: repository.name, revision: '0'.repeat(40), variant: 'int8', dir, weights },
      options: { ...OPTIONS, externalFiles },
      graphs: compiled.graphs,
      remove: () => rm(dir, { recursive: true, force: true }),
    };
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
}

async function putFile(dir: string, file: HubFile): Promise<void> {
  const path = join(dir, file.path);
  await mkdir(dirname(path), { recursive: true });
  if ('bytes' in file) await writeFile(path, file.bytes);
  else await symlink(file.file, path);
}
