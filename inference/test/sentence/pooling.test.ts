import { poolingModes } from '@heimdex/cache';
import { expect } from 'chai';
import { pool } from '../../src/models/sentence/postprocess.js';
import { packTexts, planBatches } from '../../src/models/sentence/preprocess.js';

/** Three tokens of two numbers. */
const ROWS = { values: Float32Array.of(1, 10, 2, -20, 6, 40), count: 3, size: 2 };

describe("a sentence's pooling", () => {
  it('makes one vector of the tokens in every known way', () => {
    expect([...pool(ROWS, ['cls'])]).to.deep.equal([1, 10]);
    expect([...pool(ROWS, ['lasttoken'])]).to.deep.equal([6, 40]);
    expect([...pool(ROWS, ['max'])]).to.deep.equal([6, 40]);
    expect([...pool(ROWS, ['mean'])]).to.deep.equal([3, 10]);
    expect([...pool(ROWS, ['mean_sqrt_len_tokens'])].map((value) => value.toFixed(3))).to.deep.equal([
      '5.196',
      '17.321',
    ]);
    expect([...pool(ROWS, ['weightedmean'])].map((value) => value.toFixed(3))).to.deep.equal(['3.833', '15.000']);
    expect([...pool(ROWS, ['cls', 'mean'])]).to.deep.equal([1, 10, 3, 10]);
  });

  it('is read from its config.json, old and new', () => {
    expect(poolingModes({ pooling_mode_cls_token: true, pooling_mode_mean_tokens: false })).to.deep.equal(['cls']);
    expect(poolingModes({ pooling_mode_mean_tokens: true, pooling_mode_max_tokens: true })).to.deep.equal([
      'max',
      'mean',
    ]);
    expect(poolingModes({ pooling_mode: 'lasttoken' })).to.deep.equal(['lasttoken']);
    expect(poolingModes({ pooling_mode: ['mean', 'cls'] })).to.deep.equal(['mean', 'cls']);
    expect(() => poolingModes({ pooling_mode: 'magic' })).to.throw(/a pooling of cls, max/);
    expect(() => poolingModes({ pooling_mode: ['cls', 'magic'] })).to.throw(/got cls, magic/);
    expect(() => poolingModes({ pooling_mode: [] })).to.throw(/got none/);
    expect(poolingModes({ pooling_mode_mean_tokens: false })).to.deep.equal(['mean']);
    expect(poolingModes({ word_embedding_dimension: 384 })).to.deep.equal(['mean']);
  });
});

describe('batches of texts', () => {
  const sizesOf = (batch: readonly number[], lengths: readonly number[]) => batch.map((index) => lengths[index] ?? 0);

  it('hold every text once, at most eight, shortest first, with little padding in few runs', () => {
    const lengths = Array.from({ length: 200 }, (_, index) => 3 + ((index * 37) % 90));
    const batches = planBatches(lengths);
    expect(batches.flat().sort((one, other) => one - other)).to.deep.equal(lengths.map((_, index) => index));
    const sizes = batches.map((batch) => sizesOf(batch, lengths));
    expect(sizes.flat()).to.deep.equal(lengths.toSorted((one, other) => one - other));
    expect(Math.max(...sizes.map((batch) => batch.length))).to.be.at.most(8);
    const padded = sizes.reduce((sum, batch) => sum + Math.max(...batch) * batch.length, 0);
    expect(padded / lengths.reduce((sum, length) => sum + length, 0)).to.be.below(1.03);
    expect(batches.length).to.be.below(50);
  });

  it('split texts if padding would cost more than a run', () => {
    expect(planBatches([])).to.deep.equal([]);
    expect(planBatches([7])).to.deep.equal([[0]]);
    const groups = (lengths: readonly number[]) => planBatches(lengths).map((batch) => sizesOf(batch, lengths));
    expect(groups([9, 10, 9])).to.deep.equal([[9, 9, 10]]);
    expect(groups([50, 10, 52, 11])).to.deep.equal([
      [10, 11],
      [50, 52],
    ]);
    expect(
      groups(new Array(10).fill(20))
        .map((sizes) => sizes.length)
        .toSorted(),
    ).to.satisfy(([fewer, more, ...others]: number[]) => (fewer ?? 0) + (more ?? 0) === 10 && others.length === 0);
  });

  it('run alone from 256 tokens on, where attention scores would fill the memory', () => {
    const lengths = [512, 255, 300, 255, 512, 256];
    const sizes = planBatches(lengths).map((batch) => sizesOf(batch, lengths));
    expect(sizes).to.deep.equal([[255, 255], [256], [300], [512], [512]]);
  });

  it('are larger on a GPU, where a run costs as much as hundreds of tokens', () => {
    const lengths = [512, 255, 7, 255, 512, 2048];
    const sizes = planBatches(lengths, 'cuda').map((batch) => sizesOf(batch, lengths));
    expect(sizes).to.deep.equal([[7, 255, 255], [512, 512], [2048]]);
  });

  it('are padded on the right, with a mask over what is text', () => {
    const packed = packTexts([[5, 6, 7], [8]], 1);
    expect([...packed.ids]).to.deep.equal([5n, 6n, 7n, 8n, 1n, 1n]);
    expect([...packed.mask]).to.deep.equal([1n, 1n, 1n, 1n, 0n, 0n]);
    expect([packed.count, packed.length]).to.deep.equal([2, 3]);
    expect(packTexts([[8]], 1, 2)).to.deep.equal({
      ids: BigInt64Array.of(8n, 1n),
      mask: BigInt64Array.of(1n, 0n),
      count: 1,
      length: 2,
    });
  });
});
