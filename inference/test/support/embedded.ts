import { mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { embeddedRepositories } from '@heimdex/hub';

/** One of the project's own models with its repository layout, in a temporary directory that the caller removes. */
export async function layOutEmbedded(name: string): Promise<string> {
  const repository = (await embeddedRepositories()).find((candidate) => candidate.name === name);
  if (repository === undefined) throw new Error(`no embedded model ${name}`);
  const dir = await mkdtemp(join(tmpdir(), 'heimdex-embedded-'));
  for (const file of repository.files) {
    const path = join(dir, file.path);
    await mkdir(dirname(path), { recursive: true });
    if ('file' in file) await symlink(file.file, path);
    else await writeFile(path, file.bytes);
  }
  return dir;
}
