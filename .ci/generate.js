/**
 * Generates from proto/: the TypeScript under gen/src, the Python of client/python where a Python with grpcio-tools is installed
 * (HEIMDEX_TEST_PYTHON, else python3), and gen/contract.json, the current contract as a buf image in JSON. `npm run generate` rejects a
 * breaking change of the contract; `-- --accept-breaking` allows it for a new major version. `--check` compares instead of writing.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const generatedDir = join(root, 'gen/src');
const contractFile = join(root, 'gen/contract.json');

// As in npm scripts: buf and its plugins are in node_modules/.bin.
process.env.PATH = [join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter);
const buf = (...args) => execFileSync('buf', args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });

/** Returns the content of every file below a directory, by relative path. */
function readTree(dir) {
  const files = new Map();
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) files.set(relative(dir, path), readFileSync(path, 'utf8'));
  }
  return files;
}

function differences(expected, found) {
  const names = [...new Set([...expected.keys(), ...found.keys()])].sort();
  return names.filter((name) => expected.get(name) !== found.get(name));
}

/** Returns our part of the contract without comments, one value per line for readable diffs. */
function describeContract() {
  const image = JSON.parse(
    buf('build', '--path', 'proto/heimdex', '--exclude-source-info', '-o', '-#format=json').toString(),
  );
  return `${JSON.stringify(image, null, 1)}\n`;
}

function refuseBreakingChanges() {
  try {
    execFileSync('buf', ['breaking', 'proto', '--against', contractFile], { cwd: root, stdio: 'inherit' });
  } catch (error) {
    // Without a status, buf did not run.
    if (error.status === undefined || error.status === null) throw error;
    console.error(
      'The contract in proto/ breaks callers of gen/contract.json (above). Fields, methods and reasons may only be added.',
    );
    process.exit(1);
  }
}

/** client/python/generate.py, with this script's arguments. */
function generatePython() {
  const python = process.env.HEIMDEX_TEST_PYTHON ?? 'python3';
  if (spawnSync(python, ['-c', 'import grpc_tools']).status !== 0) {
    console.warn('client/python is left out: it needs Python with grpcio-tools (source .ci/peers).');
    return;
  }
  const { status } = spawnSync(python, [join(root, 'client/python/generate.py'), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exitCode = 1;
}

if (existsSync(contractFile) && !process.argv.includes('--accept-breaking')) refuseBreakingChanges();
// Ctrl-C also ends buf, and thereby the steps below; with a listener they still clean up.
process.once('SIGINT', () => process.exit(130));
const scratch = mkdtempSync(join(tmpdir(), 'heimdex-generate-'));
try {
  buf('generate', '-o', scratch);
  const fresh = join(scratch, 'gen/src');
  const contract = describeContract();
  if (process.argv.includes('--check')) {
    const stale = differences(readTree(fresh), readTree(generatedDir)).map((name) => `gen/src/${name}`);
    if (!existsSync(contractFile) || readFileSync(contractFile, 'utf8') !== contract) stale.push('gen/contract.json');
    if (stale.length > 0) {
      console.error(`Out of date with proto/: ${stale.join(', ')}. Run: npm run generate`);
      process.exitCode = 1;
    }
  } else {
    rmSync(generatedDir, { recursive: true, force: true });
    cpSync(fresh, generatedDir, { recursive: true });
    writeFileSync(contractFile, contract);
  }
  generatePython();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
