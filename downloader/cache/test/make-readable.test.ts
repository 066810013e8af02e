import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { makeReadable } from '../src/index.js';
import { useTempDir } from './support/temp-dir.js';

describe('making a file readable', () => {
  const dir = useTempDir();

  for (const [mode, outcome] of [
    [0o644, 'done'],
    [0o600, 'EPERM'],
  ] as const) {
    it(`on a file system that changes no mode: ${outcome} for a file of mode ${mode.toString(8)}`, async () => {
      const path = join(dir(), 'file');
      await writeFile(path, '', { mode });
      const file = await open(path);
      const refusal = Object.assign(new Error('EPERM: operation not permitted, fchmod'), { code: 'EPERM' });
      const result = makeReadable({ chmod: () => Promise.reject(refusal), stat: file.stat.bind(file) });
      expect(
        await result.then(
          () => 'done',
          (error: NodeJS.ErrnoException) => error.code,
        ),
      ).to.equal(outcome);
      await file.close();
    });
  }
});
