import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { weightsForm } from '../../src/models/session/weights-form.js';
import { load } from '../../src/models/whisper/model.js';
import { parseModel, writeModel } from '../../src/onnx/index.js';
import { inShared, OPTIONS } from '../support/paths.js';
import { plainWords, samplesOf, textOf } from '../support/speech.js';
import { transcribeWith, type WhisperModel, whisperFiles } from '../support/whisper.js';

const SAID = 'he was not an ill disposed young man';

/** The tests of what Whisper base is asked for: a language, a translation, beams, word times. */
export function testTasks(whisper: () => WhisperModel): void {
  let samples: Float32Array;

  before(async () => {
    samples = await samplesOf(inShared('samples/speech/sense_and_sensibility_01_austen_64kb-0880.wav'));
  });

  it('writes the given language, as faster-whisper does for the same English sentence', async () => {
    const text = textOf(await transcribeWith(whisper(), samples, { language: 'de', temperatures: [0] }));
    // faster-whisper gives the one with 8-bit weights (mean log-probability -0.83), the other with float32 (-0.87): so do plain
    // 8-bit weights and overflow-safe ones, which round otherwise.
    const young = (await weightsForm(OPTIONS)) === 'plain' ? 'jünger' : 'jungen';
    expect(text).to.equal(`Er war nicht ein altes ${young} Mann.`);
  });

  it('translates into English from a given language', async () => {
    const options = { language: 'ja', task: 'translate', timestamps: 'word', temperatures: [0] } as const;
    const events = await transcribeWith(whisper(), samples, options);
    expect(plainWords(textOf(events))).to.equal(SAID);
    // Words of English, although Japanese has no spaces.
    const words = events.flatMap((event) => (event.type === 'segment' ? event.segment.words : []));
    expect(words.map(({ text }) => plainWords(text)).join(' ')).to.equal(SAID);
  });

  it('finds the words with five beams as well, and with word times', async () => {
    const options = { beamSize: 5, timestamps: 'word' } as const;
    const events = await transcribeWith(whisper(), samples, options);
    expect(plainWords(textOf(events))).to.equal(SAID);
    const words = events.flatMap((event) => (event.type === 'segment' ? event.segment.words : []));
    expect(words.map(({ text }) => plainWords(text)).join(' ')).to.equal(SAID);
  });

  describe('without cross-attentions', () => {
    let dir: string;
    let plain: WhisperModel;

    before(async () => {
      dir = await mkdtemp(join(tmpdir(), 'heimdex-plain-'));
      const files = whisperFiles();
      const { graph, ...model } = parseModel(await readFile(files.weights.decoder ?? ''));
      const outputs = graph.outputs.filter(({ name }) => !name.startsWith('cross_attentions'));
      expect(outputs.length).to.be.below(graph.outputs.length);
      const decoder = join(dir, 'decoder.onnx');
      await writeFile(decoder, writeModel({ ...model, graph: { ...graph, outputs } }));
      plain = await load({ ...files, weights: { ...files.weights, decoder } }, OPTIONS);
    });
    after(async () => {
      await plain?.close();
      await rm(dir, { recursive: true });
    });

    it('transcribes, and names the export that has them for word times', async () => {
      expect(plainWords(textOf(await transcribeWith(plain, samples)))).to.equal(SAID);
      const error = await transcribeWith(plain, samples, { timestamps: 'word' }).catch((reason: unknown) => reason);
      expect(error).to.include({ code: 'TIMESTAMPS_UNSUPPORTED' });
      expect((error as Error).message).to.contain('ASR_MODEL=onnx-community/whisper-base_timestamped');
    });

    it('refuses the filter of voice activity, as without its weights', async () => {
      const error = await transcribeWith(plain, samples, { vadFilter: true }).catch((reason: unknown) => reason);
      expect(error).to.include({ code: 'FEATURE_DISABLED' });
    });
  });
}
