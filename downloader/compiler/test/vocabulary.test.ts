import { randomTensors, safetensorsFile, whisperShapes } from '@heimdex/hub';
import { expect } from 'chai';
import { compileCheckpoint } from '../src/index.js';
import { temporaryDir } from './support/dir.js';

describe('a vocabulary that is checked in slices', () => {
  const dir = temporaryDir();

  it('returns the same scores as the graph with one slice', async () => {
    const size = { width: 32, layers: 1, vocabulary: 20_000, mels: 80 };
    const config = {
      model_type: 'whisper',
      d_model: size.width,
      encoder_layers: 1,
      decoder_layers: 1,
      encoder_attention_heads: 2,
      decoder_attention_heads: 2,
      encoder_ffn_dim: 4 * size.width,
      decoder_ffn_dim: 4 * size.width,
      vocab_size: size.vocabulary,
      num_mel_bins: size.mels,
    };
    const checkpoint = dir.write('model.safetensors', safetensorsFile(randomTensors(whisperShapes(size), 5)));
    for (const precision of ['int8', 'fp16'] as const) {
      const { graphs } = await compileCheckpoint({
        checkpoint,
        config,
        dir: dir.fresh(),
        precision,
        overflowSafe: false,
      });
      const decoder = graphs.find(({ role }) => role === 'decoder');
      expect(decoder?.cosine, precision).to.be.within(0.999, 1.000001);
    }
  });
});
