import { expect } from 'chai';
import { compilerVersion, whyUnusable } from '../src/compiled-model.js';

describe('a compiled model', () => {
  const about = { modelType: 'bert', sources: [] };
  const manifest = { ...about, compiler: compilerVersion(about), overflowSafe: false };

  it('for CPUs with VNNI is used on those alone, and that for any CPU everywhere', () => {
    expect(whyUnusable(manifest, () => true)).to.equal(undefined);
    expect(whyUnusable(manifest, () => false)).to.include('VNNI');
    expect(whyUnusable({ ...manifest, overflowSafe: true }, () => false)).to.equal(undefined);
  });
});
