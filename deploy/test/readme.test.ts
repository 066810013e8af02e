import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
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

describe('README.md', () => {
  for (const page of output('git', ['ls-files', '*.md']).trim().split('\n')) {
    it(`and the other pages link to existing files and headings: ${page}`, () => {
      const links = [...read(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)];
      const broken = links.filter(([, path = '', heading]) => {
        const target = path === '' ? page : join(dirname(page), path);
        return !existsSync(join(ROOT, target)) || (heading !== undefined && !headingsOf(target).includes(heading));
      });
      expect(broken.map(([link]) => link)).to.deep.equal([]);
    });
  }

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
