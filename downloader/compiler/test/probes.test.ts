import { expect } from 'chai';
import { bertProbe, siglipTextProbe } from '../src/check/probes.js';
import { ConfigReader } from '../src/index.js';

/** Ids of each text, without its padding. */
function textsOf(ids: BigInt64Array, mask: BigInt64Array, count: number): number[][] {
  const length = ids.length / count;
  return Array.from({ length: count }, (_, row) =>
    [...ids.subarray(row * length, (row + 1) * length)].flatMap((id, at) =>
      mask[row * length + at] === 1n ? [Number(id)] : [],
    ),
  );
}

describe('the inputs of the self-check', () => {
  const bert = (emptyText: readonly number[], positions = 512) => {
    const config = new ConfigReader({ model_type: 'bert', vocab_size: 30_522, max_position_embeddings: positions });
    const { input_ids: ids, attention_mask: mask } = bertProbe(config, {}, emptyText);
    return textsOf(ids?.data as BigInt64Array, mask?.data as BigInt64Array, ids?.dims[0] ?? 0);
  };

  it('are long and short texts, texts of a word and an empty one, with the tokens that stand around every text', () => {
    const texts = bert([101, 102]);
    expect(texts.map(({ length }) => length)).to.deep.equal([64, 26, 3, 3, 2]);
    for (const text of texts) expect([text[0], text.at(-1)]).to.deep.equal([101, 102]);
    expect(new Set(texts.map((text) => text[1])).size).to.equal(5);
  });

  it('have no empty text if its special tokens are unknown', () => {
    expect(bert([]).map(({ length }) => length)).to.deep.equal([64, 24, 1, 1]);
  });

  it('are no longer than the model reads', () => {
    expect(bert([101, 102], 20).map(({ length }) => length)).to.deep.equal([20, 20, 3, 3, 2]);
  });

  it('of SigLIP are texts padded to its length, an empty one too', () => {
    const config = new ConfigReader({ text_config: { vocab_size: 500, max_position_embeddings: 16 } });
    const { input_ids: ids } = siglipTextProbe(config, {}, []);
    expect(ids?.dims).to.deep.equal([5, 16]);
    const all = ids?.data as BigInt64Array;
    const padding = Array.from({ length: 5 }, (_, row) => {
      const text = [...all.subarray(row * 16, (row + 1) * 16)];
      return text.length - 1 - text.findLastIndex((id) => id !== 1n);
    });
    expect(padding).to.deep.equal([0, 12, 15, 15, 16]);
  });
});
