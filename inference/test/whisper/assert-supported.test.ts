import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';
import { parseWhisperConfig } from '../../src/models/whisper/config.js';
import { assertSupported } from '../../src/models/whisper/prompt.js';

const SIZES = {
  d_model: 512,
  decoder_attention_heads: 8,
  decoder_layers: 6,
  decoder_start_token_id: 1,
  eos_token_id: 2,
};
const parse = (generation: Parameters<typeof parseWhisperConfig>[1]) =>
  parseWhisperConfig(SIZES, generation, { feature_size: 80 });
const ENGLISH_ONLY = parse({ is_multilingual: false });
const MULTILINGUAL = parse({ is_multilingual: true, lang_to_id: { '<|en|>': 3, '<|de|>': 4 } });

describe('the options of a Whisper model', () => {
  for (const [name, config, language, task] of [
    ['English of a model that knows no other', ENGLISH_ONLY, 'en', 'transcribe'],
    ['no language of it', ENGLISH_ONLY, undefined, 'transcribe'],
    ['a language it knows, translated', MULTILINGUAL, 'de', 'translate'],
    ['a language that it is to find', MULTILINGUAL, undefined, 'translate'],
  ] as const) {
    it(`accepts ${name}`, () => {
      expect(() => assertSupported('org/name', config, language, { task })).not.to.throw();
    });
  }

  for (const [name, config, language, task, code, said] of [
    ['German of a model for English', ENGLISH_ONLY, 'de', 'transcribe', 'LANGUAGE_UNSUPPORTED', 'ASR_MODEL=base'],
    ['a translation by it', ENGLISH_ONLY, undefined, 'translate', 'INVALID_ARGUMENT', 'ASR_MODEL=base'],
    ['a language it does not know', MULTILINGUAL, 'fr', 'transcribe', 'LANGUAGE_UNSUPPORTED', 'one of de, en'],
  ] as const) {
    it(`rejects ${name} and suggests an alternative`, () => {
      let error: unknown;
      try {
        assertSupported('org/name', config, language, { task });
      } catch (thrown) {
        error = thrown;
      }
      expect(error).to.be.instanceOf(InferenceError);
      expect(error).to.include({ code });
      expect((error as InferenceError).message).to.contain(said);
    });
  }
});
