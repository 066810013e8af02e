import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { COMPILER_ERROR_CODES } from '../src/index.js';

describe('the documentation of the compiler', () => {
  it('lists every error code, and no other', () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const rows = readme.split('## Errors')[1]?.matchAll(/^\| `(\w+)` \|/gm) ?? [];
    expect([...rows].map(([, code]) => code)).to.deep.equal([...COMPILER_ERROR_CODES]);
  });
});
