/**
 * Removes from an image's build stage what a workspace does not need at run time: packages of other workspaces, the ONNX
 * Runtime of other platforms, types, source maps and documents. Run `node prune.js @heimdex/NAME` in the repository root
 * after `npm ci --omit=dev --workspace=@heimdex/NAME`, which also installs dependencies of other workspaces. Throws if the
 * runtime of this platform is missing.
 */
import { existsSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { packagesIn, readJson } from './installed.js';

const [selected] = process.argv.slice(2);
const root = process.cwd();
const remove = (path) => rmSync(path, { recursive: true, force: true });

const workspaces = new Map(
  readJson('package.json').workspaces.map((dir) => [readJson(join(dir, 'package.json')).name, join(root, dir)]),
);
if (!workspaces.has(selected))
  throw new Error(`${selected} is not a workspace: expected one of ${[...workspaces.keys()].join(', ')}`);

/** Resolves a package from a directory as Node.js does: in the nearest node_modules upwards. Undefined if not installed. */
function locate(name, from) {
  const found = join(from, 'node_modules', name);
  if (existsSync(found)) return found;
  return from === root ? undefined : locate(name, dirname(from));
}

/** Marks a package and its run-time dependencies, by their paths in node_modules and the directories these link to. */
function mark(path, marked) {
  if (marked.has(path)) return marked;
  const dir = realpathSync(path);
  marked.add(path).add(dir);
  const { dependencies, optionalDependencies, peerDependencies } = readJson(join(dir, 'package.json'));
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
    const found = locate(name, dir);
    if (found !== undefined) mark(found, marked);
  }
  return marked;
}

/** Returns every file below a directory that passes the test. Does not follow links. */
function filesIn(dir, test) {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && test(entry))
    .map((entry) => join(entry.parentPath, entry.name));
}

const needed = mark(join(root, 'node_modules', selected), new Set());
for (const dir of [root, ...workspaces.values()]) {
  for (const path of packagesIn(join(dir, 'node_modules'))) if (!needed.has(path)) remove(path);
  remove(join(dir, 'node_modules/.bin'));
}
for (const dir of workspaces.values()) {
  const holdsNeeded = [...needed].some((path) => !relative(dir, path).startsWith('..'));
  if (!holdsNeeded) remove(dir);
}

const runtimes = 'node_modules/onnxruntime-node/bin/napi-v6';
if (existsSync(runtimes)) {
  const own = join(runtimes, process.platform, process.arch);
  if (!existsSync(own)) throw new Error(`onnxruntime-node has no library for ${process.platform}/${process.arch}`);
  for (const file of filesIn(runtimes, ({ parentPath }) => parentPath !== own)) remove(file);
}

const NEVER_RUN = /(\.d\.[cm]?ts|\.tsbuildinfo|\.map|\.md|\.markdown)$/i;
const LICENCE = /licen[cs]e|notice|copying/i;
for (const file of filesIn('node_modules', ({ name }) => NEVER_RUN.test(name) && !LICENCE.test(name))) remove(file);
