import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HubRepository } from '@heimdex/hub';
import { expect } from 'chai';
import { readJsonObject } from '../../src/json.js';
import { compressionRatio } from '../../src/models/decoding/compression-ratio.js';
import { readWhisperConfig } from '../../src/models/whisper/config.js';
import { generationDefaults } from '../../src/models/whisper/generation-defaults.js';
import { load } from '../../src/models/whisper/model.js';
import { TokenTexts } from '../../src/models/whisper/token-texts.js';
import { WhisperTokenizer } from '../../src/models/whisper/vocabulary.js';
import { koreanWhisper } from '../fixtures/fine-tunes.js';
import { type CompiledRepository, compileRepository } from '../support/compiled.js';
import { inRepository, inShared, needsShared } from '../support/paths.js';
import { SPEECH_OPTIONS, samplesOf, windowOf } from '../support/speech.js';
import { decodeTogether, transcribeWith, WHISPER_BASE, type WhisperModel } from '../support/whisper.js';

const SMALL_FILES = ['generation_config.json', 'preprocessor_config.json', 'tokenizer_config.json'];

function without(repository: HubRepository, names: readonly string[]): HubRepository {
  return { ...repository, files: repository.files.filter(({ path }) => !names.includes(path)) };
}

describe('a Whisper of 128 mel bands whose repository has config.json, tokenizer.json and its weights alone', () => {
  let compiled: CompiledRepository;
  let model: WhisperModel;

  before(async () => {
    compiled = await compileRepository(without(koreanWhisper({ mels: 128 }), SMALL_FILES));
    model = await load(compiled.files, compiled.options);
  });
  after(async () => {
    await model?.close();
    await compiled?.remove();
  });

  it('detects a language from its tokenizer and accepts word timestamps', async () => {
    const samples = (await samplesOf(inRepository('demo/samples/speech/models.flac'))).subarray(0, 32_000);
    const events = await transcribeWith(model, samples, { timestamps: 'word', temperatures: [0] });
    const summary = events.at(-1);
    expect(summary?.type === 'summary' && summary.summary.language).to.be.oneOf(['ko', 'en', 'ja', 'de']);
  });

  it('ends a text at half of its positions only where that repeats itself', async () => {
    const samples = (await samplesOf(inRepository('demo/samples/speech/models.flac'))).subarray(0, 16_000);
    const windows = [0, Number.POSITIVE_INFINITY].map((compressionRatioThreshold) => {
      const options = {
        ...SPEECH_OPTIONS,
        timestamps: 'none',
        temperatures: [0],
        compressionRatioThreshold,
      } as const;
      return windowOf(samples, { options, language: 'ko' });
    });
    const decoded = await decodeTogether(model, windows);
    const segments = decoded.map((one) => (one.type === 'decode' ? one.segments[0] : undefined));
    expect(segments.map((one) => one?.tokens.length)).to.deep.equal([224, 443]);
    const texts = TokenTexts.read((await WhisperTokenizer.open(compiled.files.dir)).json);
    const ratioOf = (from: number, to?: number) =>
      compressionRatio(texts?.decode(segments[1]?.tokens.slice(from, to) ?? []).trim() ?? '');
    // That of a whole text grows with its length.
    expect(segments[1]?.compressionRatio).to.equal(Math.max(ratioOf(0, 224), ratioOf(224)));
  });

  it('takes no language from a window without speech: it is detected in the next one', async () => {
    const samples = (await samplesOf(inRepository('demo/samples/speech/models.flac'))).subarray(0, 32_000);
    // With these thresholds nothing is speech.
    const options = { ...SPEECH_OPTIONS, temperatures: [0], noSpeechThreshold: 0, logProbThreshold: 0 };
    const [decoded] = await decodeTogether(model, [windowOf(samples, { options, language: undefined })]);
    expect(decoded).to.include({ language: undefined, languageProbability: 0 });
  });
});

describe('a Whisper with a generation_config.json', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-whisper-'));
    for (const file of koreanWhisper().files)
      if (file.path.endsWith('.json') && 'bytes' in file) await writeFile(join(dir, file.path), file.bytes);
  });
  after(() => rm(dir, { recursive: true }));

  it('has its settings and those of its preprocessor_config.json', async () => {
    const tokenizer = await WhisperTokenizer.open(dir);
    const { alignmentHeads, suppressed, melCount } = await readWhisperConfig(dir, tokenizer);
    expect(alignmentHeads).to.deep.equal([
      [1, 0],
      [2, 2],
    ]);
    expect(suppressed).to.include(tokenizer.id('"') ?? 34);
    expect(melCount).to.equal(80);
  });

  it('of another model is refused by name: it would have no words, or fail while it runs', async () => {
    const own = await readJsonObject(join(dir, 'generation_config.json'));
    for (const [changed, said] of [
      [{ no_timestamps_token_id: 266 }, 'Expected <|notimestamps|> to be 267'],
      [{ no_timestamps_token_id: 1768 }, 'Expected <|notimestamps|> to be 267'],
      [{ prev_sot_token_id: 263 }, 'Expected <|startofprev|> to be 265'],
      [{ eos_token_id: [255, 256] }, 'Expected <|endoftext|> to be 256'],
      [{ decoder_start_token_id: 50_258 }, 'Expected <|startoftranscript|> to be 257'],
      [{ task_to_id: { transcribe: 262, translate: 263 } }, 'Expected <|transcribe|> to be 263'],
      [{ lang_to_id: { '<|ko|>': 258, '<|en|>': 260 } }, 'Expected <|en|> to be 259'],
      [{ lang_to_id: { '<|yue|>': 50_358 } }, 'below 1769, vocab_size of its config.json, got 50358 for yue'],
    ] as const) {
      await writeFile(join(dir, 'generation_config.json'), JSON.stringify({ ...own, ...changed }));
      const files = { id: 'example/whisper-korean', dir, weights: { encoder: 'none', decoder: 'none' } };
      const error = await load(files as never, {} as never).catch((reason: Error) => reason);
      expect(String(error)).to.contain(said).and.to.contain('Replace its generation_config.json');
    }
  });
});

describe("what is assumed of a Whisper's generation_config.json", () => {
  it("equals OpenAI's own file", async function () {
    needsShared(this, `${WHISPER_BASE}/tokenizer.json`);
    const dir = inShared(WHISPER_BASE);
    const own = await readJsonObject(`${dir}/generation_config.json`);
    const defaults = generationDefaults(await readJsonObject(`${dir}/config.json`), await WhisperTokenizer.open(dir));
    for (const key of [
      'decoder_start_token_id',
      'eos_token_id',
      'begin_suppress_tokens',
      'lang_to_id',
      'task_to_id',
    ] as const) {
      expect(defaults[key], key).to.deep.equal(own[key]);
    }
    // Special tokens are kept from being sampled by what they are.
    const words = (tokens: unknown) => (tokens as readonly number[]).filter((token) => token < 50_257);
    expect(words(defaults.suppress_tokens)).to.deep.equal(words(own.suppress_tokens));
    expect(defaults.alignment_heads).to.have.length(3 * 8);
  });

  it('is English alone where the text begins with the token of the models for English, whatever the vocabulary has more', () => {
    const tokens = (start: number) => ({
      json: {},
      id: (token: string) => (token === '<|startoftranscript|>' ? start : undefined),
      encode: () => [],
    });
    for (const vocab_size of [51_864, 51_865, 51_866]) {
      expect(generationDefaults({ vocab_size }, tokens(50_257)).is_multilingual).to.equal(false);
      expect(generationDefaults({ vocab_size }, tokens(50_258)).is_multilingual).to.equal(undefined);
    }
  });
});
