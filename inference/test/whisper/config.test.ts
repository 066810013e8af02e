import { expect } from 'chai';
import { parseWhisperConfig } from '../../src/models/whisper/config.js';

const CONFIG = {
  d_model: 64,
  decoder_layers: 4,
  decoder_attention_heads: 4,
  decoder_start_token_id: 1,
  eos_token_id: 2,
  num_mel_bins: 128,
};
const DEFAULTS = {
  lang_to_id: { '<|ko|>': 5, '<|en|>': 6 },
  alignment_heads: [
    [2, 0],
    [3, 1],
  ],
};

describe("a Whisper's settings", () => {
  it('have the alignment heads that the model has, and the defaults if it has none of the listed ones', () => {
    const heads = (listed: unknown) =>
      parseWhisperConfig(CONFIG, { alignment_heads: listed }, {}, DEFAULTS).alignmentHeads;
    expect(
      heads([
        [1, 3],
        [1, 17],
        [7, 0],
      ]),
    ).to.deep.equal([[1, 3]]);
    for (const listed of [[], null, [[7, 0]], [[1, 4]]]) expect(heads(listed)).to.deep.equal(DEFAULTS.alignment_heads);
  });

  it("have the tokenizer's languages if the table is empty; a multilingual one with neither is an error that names the field", () => {
    const parsed = (defaults: object) =>
      parseWhisperConfig(CONFIG, { lang_to_id: {}, is_multilingual: true }, {}, { ...defaults });
    expect([...parsed(DEFAULTS).languages.keys()]).to.deep.equal(['ko', 'en']);
    expect(() => parsed({})).to.throw(/lang_to_id .*generation_config\.json/);
  });

  it('suppress the tokens of a list but the -1, which is none', () => {
    const listed = { suppress_tokens: [7, -1, '8', 9], begin_suppress_tokens: null };
    expect(parseWhisperConfig(CONFIG, listed, {}, DEFAULTS)).to.deep.include({
      suppressed: [7, 9],
      suppressedFirst: [],
    });
  });

  it('are refused if the preprocessor has other mel bands than the model', () => {
    const melCount = (feature_size?: number) =>
      parseWhisperConfig(CONFIG, {}, feature_size === undefined ? {} : { feature_size }).melCount;
    expect(melCount()).to.equal(128);
    expect(melCount(128)).to.equal(128);
    expect(() => melCount(80)).to.throw(/feature_size .* to be 128, num_mel_bins .*, got 80/);
  });
});
