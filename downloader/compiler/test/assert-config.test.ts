import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { assertConfig, type Config } from '../src/index.js';
import { refusal } from './support/dir.js';
import { BERT_CONFIG } from './support/stand-ins.js';

const WHISPER = {
  model_type: 'whisper',
  d_model: 32,
  encoder_layers: 1,
  decoder_layers: 1,
  encoder_attention_heads: 2,
  decoder_attention_heads: 2,
  vocab_size: 120,
};
const SIGLIP = { model_type: 'siglip', text_config: {}, vision_config: {} };
const DENSE = { in_features: 16, out_features: 8, bias: true };

describe('a config.json without its weights', () => {
  for (const config of [BERT_CONFIG, WHISPER, SIGLIP, { model_type: 'distilbert' }, { model_type: 'mpnet' }]) {
    it(`is accepted if a checkpoint of it can be compiled: ${config.model_type}`, () => {
      assertConfig(config);
    });
  }

  it('is read without loading the runtime, which only a compile needs', () => {
    const code = `
      const { assertConfig } = await import(${JSON.stringify(import.meta.resolve('../src/index.js'))});
      assertConfig(${JSON.stringify(BERT_CONFIG)});
      console.log(process.report.getReport().sharedObjects.join('\\n'));`;
    const loaded = execFileSync(process.execPath, ['--input-type=module', '--eval', code], { encoding: 'utf8' });
    expect(loaded)
      .to.match(/\.so|\.dylib|\.dll|node/)
      .and.not.include('onnxruntime');
  });

  it('is accepted with a layer behind the pooling', () => {
    assertConfig(BERT_CONFIG, { config: DENSE, pooling: ['mean'] });
  });

  const refused: readonly (readonly [Config, object, string])[] = [
    [BERT_CONFIG, { position_embedding_type: 'relative_key' }, 'position_embedding_type of config.json'],
    [BERT_CONFIG, { hidden_act: 'relu' }, 'got relu'],
    [BERT_CONFIG, { is_decoder: true }, 'is_decoder of config.json to be false, got true'],
    [{ model_type: 'mpnet' }, { relative_attention_num_buckets: 64 }, 'num_buckets of config.json to be 32, got 64'],
    [WHISPER, { scale_embedding: true }, 'scale_embedding of config.json to be false'],
    [WHISPER, { activation_function: 'relu' }, 'got relu'],
    [WHISPER, { max_source_positions: 750 }, 'max_source_positions of config.json to be 1500, got 750'],
    [SIGLIP, { vision_config: { num_channels: 1 } }, 'vision_config.num_channels of config.json to be 3, got 1'],
    [SIGLIP, { vision_config: { vision_use_head: false } }, 'vision_config.vision_use_head of config.json to be true'],
    [SIGLIP, { vision_config: { hidden_act: 'quick_gelu' } }, 'got quick_gelu'],
    [SIGLIP, { vision_config: { image_size: [64, 32] } }, 'vision_config.image_size of config.json'],
    [SIGLIP, { vision_config: { hidden_size: 384 } }, 'text_config.projection_size of config.json to be 384, got 768'],
    [SIGLIP, { text_config: { projection_size: 32 } }, 'text_config.projection_size of config.json to be 768, got 32'],
  ];
  for (const [config, more, message] of refused) {
    it(`is refused by the value that cannot be compiled: ${JSON.stringify(more)}`, async () => {
      const error = await refusal(() => assertConfig({ ...config, ...more }));
      expect(error.code).to.equal('CONFIG_UNSUPPORTED');
      expect(error.message).to.include(message);
    });
  }

  for (const [what, config, pooling, message] of [
    [
      'another activation',
      { ...DENSE, activation_function: 'torch.nn.GELU' },
      ['mean'],
      'of 2_Dense/config.json to be',
    ],
    ['another number of inputs', { ...DENSE, in_features: 7 }, ['mean'], 'in_features of 2_Dense/config.json'],
    ['a pooling that is not built', DENSE, ['lasttoken'], 'pooling of 1_Pooling/config.json'],
  ] as const) {
    it(`is refused with the file of the layer behind the pooling: ${what}`, async () => {
      const error = await refusal(() => assertConfig(BERT_CONFIG, { config, pooling }));
      expect(error.message).to.include(message);
    });
  }
});
