import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect } from 'chai';
import { output, ROOT, read } from './support.js';

const readme = read('README.md');
const licences = read('LICENSES.md');

/** The anchors of a page's headings, as GitHub makes them. */
function headingsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-'),
  );
}

/** Names of other programs, of the Python service, and to be replaced by the reader. */
const OTHERS =
  /^(OTEL_(EXPORTER_OTLP_HEADERS|TRACES_SAMPLER(_ARG)?)|NODE_USE_SYSTEM_CA|HF_XET_HIGH_PERFORMANCE|S16_LE|(MY|OLD)_PROJECT|BATCH_(SIZE|TIMEOUT_MS)|FEATURE_FACE_DETECTION|FACE_SIMILARITY_THRESHOLD)$/;

const lines = (...args: string[]) => output('git', args).trim().split('\n');
const pages = lines('ls-files', '*.md');

describe('README.md', () => {
  for (const page of pages) {
    it(`and the other pages link to existing files and headings: ${page}`, () => {
      const links = [...read(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)];
      const broken = links.filter(([, path = '', heading]) => {
        const target = path === '' ? page : join(dirname(page), path);
        return !existsSync(join(ROOT, target)) || (heading !== undefined && !headingsOf(target).includes(heading));
      });
      expect(broken.map(([link]) => link)).to.deep.equal([]);
    });
  }

  it('and the other pages name only variables, metrics and source files that there are', () => {
    const name = /\b[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]\b|\bheimdex_\w+\w\b/g;
    const known = new Set(lines('grep', '-ohE', '[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]|heimdex_\\w+', '--', ':!*.md'));
    for (const [, variable = ''] of read('docs/reference.md').matchAll(/^\| `(\w+)` \|/gm)) known.add(variable);
    const files = new Set(lines('ls-files').map((path) => basename(path)));
    const unknown = pages
      .filter((page) => !/^(CHANGELOG|bench|demo\/models)/.test(page))
      .flatMap((page) => {
        const text = read(page);
        const names = [...text.matchAll(name)].map(([word]) => word);
        const sources = [...text.matchAll(/`([\w./-]+\.(?:ts|wat))`/g)].map(([, path = '']) => basename(path));
        return [
          ...names.filter((word) => !known.has(word) && !OTHERS.test(word)),
          ...sources.filter((path) => !files.has(path)),
        ].map((word) => `${page}: ${word}`);
      });
    expect(unknown).to.deep.equal([]);
  });

  it('lists exactly the production dependencies under the LGPL', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { license?: string; dev?: boolean }>;
    };
    const found = Object.entries(packages)
      .filter(([, { license = '', dev }]) => license.includes('GPL') && dev !== true)
      // sharp has a package for each platform.
      .map(([path]) => path.replace(/^.*node_modules\//, '').replace(/^@img\/sharp-.*/, '@img/sharp-…'));
    const named = [...licences.matchAll(/^\| `([^`]+)` \| LGPL/gm)].map(([, name]) => name);
    expect(named.sort()).to.deep.equal([...new Set(found)].sort());
  });

  it('mentions only existing npm scripts', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = [...readme.matchAll(/npm run ([\w:]+)/g)].map(([, name = '']) => name);
    expect(named.filter((name) => !(name in scripts))).to.deep.equal([]);
  });
});
