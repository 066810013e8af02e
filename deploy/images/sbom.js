/**
 * Writes the bill of materials of an image (CycloneDX 1.5) to sbom.cdx.json in the working directory: Node.js and every package that is
 * installed there, in any node_modules. `node sbom.js @heimdex/NAME` in the build stage, after prune.js; `node sbom.js --check` compares an
 * existing one with what is installed and exits with 1 if they differ. (`npm sbom` fails on a pruned tree, and on the whole one it lists
 * the lock file instead.)
 */
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packagesIn, readJson } from './installed.js';

const FILE = 'sbom.cdx.json';
const PACKAGE_FILE = 'package.json';

/** The package URL of an npm package: https://github.com/package-url/purl-spec */
const purlOf = ({ name, version }) => `pkg:npm/${name.replace(/^@/, '%40')}@${version}`;

function describe({ name, version, license }) {
  const purl = purlOf({ name, version });
  const licenses =
    typeof license === 'string'
      ? { licenses: [/[ (]/.test(license) ? { expression: license } : { license: { name: license } }] }
      : {};
  return { type: 'library', 'bom-ref': purl, name, version, purl, ...licenses };
}

/** Returns the installed packages, workspaces included, each once, by package URL. */
function installed() {
  const root = process.cwd();
  const workspaces = readJson(PACKAGE_FILE).workspaces.filter((dir) => existsSync(join(dir, PACKAGE_FILE)));
  const paths = [root, ...workspaces]
    .flatMap((dir) => packagesIn(join(dir, 'node_modules')))
    .map((path) => realpathSync(path));
  const packages = paths
    .filter((path) => existsSync(join(path, PACKAGE_FILE)))
    .map((path) => describe(readJson(join(path, PACKAGE_FILE))));
  return new Map(packages.sort((a, b) => (a.purl < b.purl ? -1 : 1)).map((own) => [own.purl, own]));
}

function write(name) {
  const node = {
    type: 'application',
    'bom-ref': 'node',
    name: 'node',
    version: process.versions.node,
    purl: `pkg:generic/node@${process.versions.node}`,
  };
  const { version } = readJson(PACKAGE_FILE);
  const bom = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: { component: { type: 'container', name, version } },
    components: [node, ...installed().values()],
  };
  writeFileSync(FILE, `${JSON.stringify(bom, null, 1)}\n`);
  console.log(`${FILE}: ${bom.components.length} components`);
}

function check() {
  const listed = new Set(
    JSON.parse(readFileSync(FILE, 'utf8'))
      .components.map(({ purl }) => purl)
      .filter((purl) => purl.startsWith('pkg:npm/')),
  );
  const found = new Set(installed().keys());
  const missing = [...found].filter((purl) => !listed.has(purl));
  const gone = [...listed].filter((purl) => !found.has(purl));
  for (const purl of missing) console.error(`installed but not listed: ${purl}`);
  for (const purl of gone) console.error(`listed but not installed: ${purl}`);
  if (missing.length + gone.length > 0) process.exitCode = 1;
  else console.log(`${FILE} lists the ${found.size} installed packages`);
}

const [argument] = process.argv.slice(2);
if (argument === '--check') check();
else if (argument !== undefined) write(argument);
else {
  console.error('Usage: node sbom.js NAME | --check');
  process.exitCode = 2;
}
