import { expect } from 'chai';
import type { JsonObject } from '../../src/json.js';
import {
  packIds,
  readImageRecipe,
  readTextRecipe,
  textTokenizerOptions,
  tokenizeText,
} from '../../src/models/siglip/preprocess.js';
import { configFromStages } from '../../src/models/siglip/stages.js';
import { createTokenizer, type TextTokenizer } from '../../src/tokenizer/index.js';

const CONFIG = {
  image_processor_type: 'SiglipImageProcessor',
  size: { height: 384, width: 384 },
  resample: 2,
  rescale_factor: 0.5,
  image_mean: [0.1, 0.2, 0.3],
  image_std: [0.4, 0.5, 0.6],
};

/** A tokenizer that gives one id a character, for looking at what is done around it. */
function letters(padId: number | undefined): TextTokenizer {
  return {
    padId,
    maxTokens: Number.POSITIVE_INFINITY,
    encode: (text, limit) => ({
      ids: [...text].slice(0, limit).map((letter) => letter.charCodeAt(0)),
      truncated: text.length > limit,
    }),
  };
}

describe("SigLIP's settings", () => {
  it('come from preprocessor_config.json', () => {
    expect(readImageRecipe(CONFIG, undefined)).to.deep.equal({
      width: 384,
      height: 384,
      filter: 'bilinear',
      rescale: 0.5,
      mean: [0.1, 0.2, 0.3],
      std: [0.4, 0.5, 0.6],
    });
  });

  it('default to those of transformers', () => {
    const recipe = readImageRecipe({}, 224);
    expect(recipe).to.deep.include({
      width: 224,
      height: 224,
      filter: 'bicubic',
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
    });
    expect(recipe.rescale).to.be.closeTo(1 / 255, 1e-12);
    const one = readImageRecipe({ ...CONFIG, image_mean: 0, image_std: 0.25 }, undefined);
    expect(one, 'one number for all channels').to.deep.include({ mean: [0, 0, 0], std: [0.25, 0.25, 0.25] });
    expect(readImageRecipe({ ...CONFIG, do_rescale: false, do_normalize: false }, undefined)).to.deep.include({
      rescale: 1,
      mean: [0, 0, 0],
      std: [1, 1, 1],
    });
  });

  it('keep the aspect ratio and crop as CLIP does, where its processor is named', () => {
    const clip = {
      ...CONFIG,
      size: { shortest_edge: 400 },
      crop_size: { height: 384, width: 384 },
      do_center_crop: true,
    };
    for (const image_processor_type of ['CLIPImageProcessor', 'CLIPImageProcessorFast', 'BitImageProcessor'])
      expect(readImageRecipe({ ...clip, image_processor_type }, 384)).to.include({ shortestEdge: 400, width: 384 });
    // Numbers alone, and the older name of the processor.
    const { image_processor_type: _, ...old } = { ...clip, size: 400, crop_size: 384 };
    expect(readImageRecipe({ ...old, feature_extractor_type: 'CLIPFeatureExtractor' }, undefined)).to.include({
      shortestEdge: 400,
      width: 384,
      height: 384,
    });
    const both = { ...clip, image_processor_type: 'CLIPImageProcessor', size: { ...clip.size, ...CONFIG.size } };
    expect(readImageRecipe(both, 384)).to.have.property('shortestEdge');
    for (const off of ['do_center_crop', 'do_resize'])
      expect(readImageRecipe({ ...both, [off]: false }, 384), off).to.not.have.property('shortestEdge');
    const siglip = readImageRecipe({ ...clip, size: CONFIG.size }, 384);
    expect(siglip).to.include({ width: 384 }).and.not.have.property('shortestEdge');
    const small = { ...clip, image_processor_type: 'CLIPImageProcessor', size: { shortest_edge: 64 } };
    expect(() => readImageRecipe(small, 384)).to.throw(/size\.shortest_edge .* got 64 for 384 x 384/);
  });

  it('are refused for images of any shape, and without a size', () => {
    expect(() => readImageRecipe({ ...CONFIG, image_processor_type: 'Siglip2ImageProcessor' }, 1)).to.throw(/NaFlex/);
    expect(() => readImageRecipe({ max_num_patches: 256, patch_size: 16 }, 1)).to.throw(/NaFlex/);
    expect(() => readImageRecipe({}, undefined)).to.throw(/size\.width/);
    expect(() => readImageRecipe({ ...CONFIG, resample: 0 }, 1)).to.throw(/resample to be one of 1, 2, 3, 4, 5/);
    expect(() => readImageRecipe({ ...CONFIG, image_mean: ['a'] }, 1)).to.throw(/three numbers/);
  });

  it("pad a text to 64 tokens, or config.json's length, with the right token, at the side that tokenizer_config.json names", () => {
    const first = readTextRecipe(letters(1), {}, {});
    expect([...packIds([tokenizeText('ab', first)], first)]).to.deep.equal([97n, 98n, ...new Array(62).fill(1n)]);
    const second = readTextRecipe(letters(0), { text_config: { max_position_embeddings: 4 } }, {});
    const texts = [tokenizeText('abcdef', second), tokenizeText('', second)];
    expect([...packIds(texts, second)]).to.deep.equal([97n, 98n, 99n, 100n, 0n, 0n, 0n, 0n]);
    const left = readTextRecipe(letters(0), { text_config: { max_position_embeddings: 4 } }, { padding_side: 'left' });
    expect([...packIds([tokenizeText('ab', left)], left)]).to.deep.equal([0n, 0n, 97n, 98n]);
    expect(() => readTextRecipe(letters(undefined), {}, {})).to.throw(/pad_token/);
  });

  it('lowercase character by character, but not special tokens, unless tokenizer_config.json disables it', () => {
    const vocab = Object.fromEntries(['<b>', 'a', 'A', 'b', 'B', '<', '>', 'σ', 'ς'].map((piece, id) => [piece, id]));
    const tokenizer = {
      added_tokens: [{ id: 0, content: '<b>', special: false, normalized: false }],
      model: { type: 'BPE', vocab, merges: [] },
    };
    const idsOf = (config: JsonObject, text: string) => {
      const options = textTokenizerOptions(config);
      const recipe = readTextRecipe(createTokenizer(tokenizer, { pad_token: '<b>' }, options), {}, config);
      return tokenizeText(text, recipe).ids;
    };
    expect(idsOf({ do_lower_case: false }, 'A<b>')).to.deep.equal([2, 0]);
    for (const config of [{}, { do_lower_case: true }]) {
      expect(idsOf(config, 'A<b>')).to.deep.equal([1, 0]);
      // As in Python, where the tokens of Gemma are searched in the text as it is.
      expect(idsOf(config, 'A<B>')).to.deep.equal([1, 5, 3, 6]);
      // Python's tokenizers has no sigma for the ends of words.
      expect(idsOf(config, 'ΣAΣ')).to.deep.equal([7, 1, 7]);
    }
  });

  it("come from the stages of deepghs' exports", () => {
    const stages = [
      { type: 'convert_rgb', force_background: 'white' },
      { type: 'resize', size: [378, 384], interpolation: 'bicubic', max_size: null, antialias: true },
      { type: 'to_tensor' },
      { type: 'normalize', mean: [0.5, 0.4, 0.3], std: 0.5 },
    ];
    const recipe = readImageRecipe(configFromStages({ stages }), undefined);
    expect(recipe).to.deep.equal({
      width: 384,
      height: 378,
      filter: 'bicubic',
      rescale: 1 / 255,
      mean: [0.5, 0.4, 0.3],
      std: [0.5, 0.5, 0.5],
    });
    const doubled = [stages[1], { type: 'to_tensor' }, { type: 'rescale', rescale_factor: 2 }];
    expect(readImageRecipe(configFromStages({ stages: doubled }), undefined)).to.deep.include({
      rescale: 2 / 255,
      mean: [0, 0, 0],
      std: [1, 1, 1],
    });
  });

  it('are refused if a stage is unknown or preserves the aspect ratio', () => {
    const refused =
      (...stages: object[]): (() => unknown) =>
      () =>
        configFromStages({ stages });
    expect(refused({ type: 'center_crop', size: 384 })).to.throw(/got center_crop/);
    expect(refused({ type: 'resize', size: 384 })).to.throw(/height and width, got 384/);
    expect(refused({ type: 'resize', size: [1, 2], interpolation: 'sinc' })).to.throw(/lanczos.*got "sinc"/);
    expect(() => configFromStages({})).to.throw(/to list its stages/);
  });
});
