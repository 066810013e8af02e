import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { CACHE_ERROR_CODES } from '../src/index.js';

describe('error codes', () => {
  it('are all in the README, and no others', async () => {
    const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
    const [, section = ''] = readme.split('## Errors');
    expect([...section.matchAll(/^\| `([A-Z_]+)` \|/gm)].map((match) => match[1])).to.deep.equal([
      ...CACHE_ERROR_CODES,
    ]);
  });
});
