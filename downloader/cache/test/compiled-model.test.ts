import { expect } from 'chai';
import { compilerVersion, whyUnusable } from '../src/compiled-model.js';

describe('a compiled model', () => {
  const about = { modelType: 'bert', sources: [] };
  const manifest = { ...about, compiler: compilerVersion(about), precision: 'int8', overflowSafe: false };

  it('in 8 bits for CPUs with VNNI is used on those alone, any other everywhere', () => {
    expect(whyUnusable(manifest, () => true)).to.equal(undefined);
    expect(whyUnusable(manifest, () => false)).to.include('VNNI');
    expect(whyUnusable({ ...manifest, overflowSafe: true }, () => false)).to.equal(undefined);
    expect(whyUnusable({ ...manifest, precision: 'fp32' }, () => false)).to.equal(undefined);
  });
});
