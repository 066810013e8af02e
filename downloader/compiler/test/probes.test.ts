import { expect } from 'chai';
import { Tensor } from 'onnxruntime-node';
import { compareLogits, compareTexts } from '../src/check/comparison.js';
import { bertProbe, siglipTextProbe, whisperDecoderProbe } from '../src/check/probes.js';
import { ConfigReader } from '../src/index.js';
import { refusal } from './support/dir.js';

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

  it('have no special tokens if those of every text leave no room for a word', () => {
    expect(bert(new Array(20).fill(7), 20).map(({ length }) => length)).to.deep.equal([20, 20, 1, 1]);
  });

  it('are refused if the special tokens are of a larger vocabulary', async () => {
    const error = await refusal(() => bert([101, 30_522]));
    expect(error.code).to.equal('CONFIG_UNSUPPORTED');
    expect(error.message).to.include('tokenizer.json').and.include('30522, vocab_size of config.json, got 30522');
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

  it("of Whisper's decoder begin as every text does, without and with timestamps", () => {
    const beginnings = [51_865, 51_866, 51_864].map((vocabulary) => {
      const config = new ConfigReader({
        d_model: 8,
        decoder_attention_heads: 2,
        decoder_layers: 1,
        vocab_size: vocabulary,
      });
      const { input_ids: ids } = whisperDecoderProbe(config, {}, []);
      const all = Array.from((ids as Tensor).data as BigInt64Array, Number);
      return [all.slice(0, 4), all.slice(32, 36)];
    });
    expect(beginnings.slice(0, 2)).to.deep.equal([
      [
        [50_258, 50_259, 50_359, 50_363],
        [50_258, 50_259, 50_359, 50_364],
      ],
      [
        [50_258, 50_259, 50_360, 50_364],
        [50_258, 50_259, 50_360, 50_365],
      ],
    ]);
    expect(beginnings[2]?.map((text) => text.slice(0, 2))).to.deep.equal([
      [50_257, 50_362],
      [50_257, 50_363],
    ]);
  });
});

describe("the comparison of Whisper's scores", () => {
  const scores = (...values: readonly number[]) => ({
    logits: new Tensor('float32', values, [1, values.length / 4, 4]),
  });
  const reference = scores(...Array.from({ length: 80 }, (_, index) => [3, -1, 0, -2][index % 4] as number));
  const changed = (change: (value: number, index: number) => number) =>
    compareLogits(reference, scores(...(reference.logits.data as Float32Array).map(change)), {});

  it('is not moved by what all scores of a token have in common', () => {
    expect(changed((value) => value + 100)).to.be.closeTo(1, 1e-6);
  });

  it('is the mean of all tokens, and less if one of them is far off', () => {
    const slightly = changed((value, index) => value + (index % 4 === 1 ? 0.1 : 0));
    expect(slightly).to.be.within(0.999, 0.9999);
    // One of twenty tokens says the opposite: the mean is 0.9.
    expect(changed((value, index) => (index < 4 ? -value : value))).to.be.closeTo(0.75, 1e-6);
  });
});

describe('the comparison of texts', () => {
  const probe = { attention_mask: new Tensor('int64', new BigInt64Array(4).fill(1n), [2, 2]) };
  const answers = (vectors: readonly number[]) => ({
    last_hidden_state: new Tensor('float32', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [2, 2, 3]),
    sentence_embedding: new Tensor('float32', vectors, [2, 2]),
  });

  it('is of each vector of a layer behind the pooling too', () => {
    const reference = answers([1, 0, 0, 1]);
    expect(compareTexts(reference, answers([2, 0, 0, 3]), probe)).to.equal(1);
    expect(compareTexts(reference, answers([1, 0, 3, 4]), probe)).to.be.closeTo(0.8, 1e-6);
  });
});
