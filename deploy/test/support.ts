import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

/** Root directory of the repository. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Reads a file of the repository as text. */
export function read(path: string): string {
  return readFileSync(`${ROOT}${path}`, 'utf8');
}

/** Parses the documents of a YAML text, resolving merge keys. */
export function parseYaml<Document>(text: string): readonly Document[] {
  return parseAllDocuments(text, { merge: true }).map((document) => document.toJS() as Document);
}

/** Whether a program is installed. */
export function has(program: string, ...args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** Runs a program in the repository root and returns its output. Throws with its output if it fails. */
export function output(program: string, args: readonly string[], input?: string): string {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: ROOT,
    encoding: 'utf8',
    ...(input !== undefined && { input }),
  });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}
