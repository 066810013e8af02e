import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type CompiledGraph, type CompileOptions, compileCheckpoint } from '@heimdex/compiler';
import type { HubFile, HubRepository } from '@heimdex/hub';
import type { LoadOptions, ModelFiles } from '../../src/models/model.js';
import { OPTIONS } from './paths.js';

/** A repository's small files and what its checkpoint was compiled to, as the server finds them. */
export interface CompiledRepository {
  readonly files: ModelFiles;
  readonly options: LoadOptions;
  readonly graphs: readonly CompiledGraph[];
  remove(): Promise<void>;
}

/**
 * Lays a repository out in a temporary directory and compiles its checkpoint there, as the downloader does.
 *
 * @param checkpoint - The file to compile, by its path in the repository.
 */
export async function compileRepository(
  repository: HubRepository,
  checkpoint = 'model.safetensors',
  options: Partial<Pick<CompileOptions, 'precision' | 'overflowSafe' | 'emptyText'>> = {},
): Promise<CompiledRepository> {
  const dir = await mkdtemp(join(tmpdir(), 'heimdex-compiled-'));
  try {
    for (const file of repository.files) await putFile(dir, file);
    const compiled = join(dir, 'compiled');
    await mkdir(compiled);
    const { graphs } = await compileCheckpoint({
      checkpoint: join(dir, checkpoint),
      config: JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')),
      dir: compiled,
      precision: 'int8',
      overflowSafe: true,
      ...options,
    });
    const weights = Object.fromEntries(graphs.map(({ role }) => [role, join(compiled, `${role}.onnx`)]));
    const externalFiles = graphs.flatMap((graph) => graph.files.map(({ name }) => join(compiled, name)));
    return {
      files: { id: repository.name, revision: '0'.repeat(40), variant: 'int8', dir, weights },
      options: { ...OPTIONS, externalFiles },
      graphs,
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
