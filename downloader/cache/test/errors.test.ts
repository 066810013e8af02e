import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { CACHE_ERROR_CODES } from '../src/index.js';

describe('error codes', () => {
  it('are all in docs/volume.md, and no others', async () => {
    const page = await readFile(new URL('../../../../docs/volume.md', import.meta.url), 'utf8');
    const [, section = ''] = page.split('## Errors');
    expect([...section.matchAll(/^\| `([A-Z_]+)` \|/gm)].map((match) => match[1])).to.deep.equal([
      ...CACHE_ERROR_CODES,
    ]);
  });
});
