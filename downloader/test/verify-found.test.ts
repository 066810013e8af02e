import { realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Plan, PlannedFile } from '../src/plan.js';
import { verifiedHashes } from '../src/record-verified.js';
import { temporaryDir } from './support/volume.js';

describe('files whose bytes a run has read', () => {
  const dir = temporaryDir();

  it('are those that it fetched, verified or found right before the plan, and not those it only inspected', async () => {
    const file = async (name: string, action: 'fetch' | 'verify' | 'keep', isVerified?: boolean) => {
      const finalPath = join(dir.path, name);
      await writeFile(finalPath, name);
      const blob = { finalPath, action, hash: { type: 'sha256', value: name } };
      return { offered: { isVerified }, blob } as unknown as PlannedFile;
    };
    const files = [
      await file('fetched', 'fetch'),
      await file('verified', 'verify'),
      await file('looked-at', 'keep'),
      await file('whisper.pt', 'keep', true),
    ];
    const hashes = await verifiedHashes({ models: [{ files }] } as unknown as Plan);
    const root = await realpath(dir.path);
    expect([...hashes].map(([path, { value }]) => [path, value])).to.deep.equal(
      ['fetched', 'verified', 'whisper.pt'].map((name) => [join(root, name), name]),
    );
  });
});
