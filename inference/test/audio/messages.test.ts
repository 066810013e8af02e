import { expect } from 'chai';
import type { InferenceError } from '../../src/errors.js';
import { Random } from '../support/random.js';
import { COMPRESSED, fixture, open } from './read-audio.js';

/** Texts of libraries and of the JavaScript engine. */
const INTERNALS =
  /undefined|null|NaN|\w+Error\b|is not (?:an? |defined|iterable|of type|valid)|cannot read|bounds|offset|wasm|heap|\.js\b|\bcode -?\d|\n/i;

/** All messages to the caller about an audio file: its warnings, or its error. */
async function said(content: Uint8Array): Promise<{ texts: readonly string[]; cause: unknown }> {
  try {
    const source = await open(content);
    while ((await source.read(160_000)) !== null);
    await source.close();
    return { texts: source.warnings, cause: undefined };
  } catch (error) {
    const { code, message, cause } = error as InferenceError;
    expect(code, message).to.equal('AUDIO_UNREADABLE');
    return { texts: [message], cause };
  }
}

describe('Messages about damaged audio files', () => {
  it('are not from a library: an MP4 with an atom of size 0', async () => {
    // Its index, and the first of its samples.
    const m4a = (await fixture('speech-48k-mono-faststart.m4a')).subarray(0, 3_000);
    const view = Buffer.from(m4a);
    for (const atom of [
      'ftyp',
      'moov',
      'mvhd',
      'trak',
      'mdia',
      'minf',
      'stbl',
      'stsd',
      'mp4a',
      'esds',
      'stts',
      'stco',
    ]) {
      const at = view.indexOf(atom) - 4;
      const broken = Uint8Array.from(m4a);
      broken.fill(0, at, at + 4);
      const { texts } = await said(broken);
      for (const text of texts) expect(text, atom).to.not.match(INTERNALS);
    }
  });

  for (const name of COMPRESSED) {
    it(`are not from a library: ${name} with its first bytes changed`, async () => {
      const random = new Random(7);
      const whole = (await fixture(name)).subarray(0, 12_000);
      let refused = 0;
      for (let turn = 0; turn < 4; turn += 1) {
        const broken = Uint8Array.from(whole);
        // The first bytes are unchanged: the format is still detected.
        for (let change = 0; change < 10; change += 1) {
          broken[48 + random.below(turn < 2 ? 600 : 6000)] = random.below(256);
        }
        const { texts, cause } = await said(broken);
        refused += texts.length;
        for (const text of texts) {
          expect(text).to.not.match(INTERNALS);
          if (typeof cause === 'string') expect(text).to.not.include(cause);
        }
      }
      expect(refused, 'some of them are refused, or bear a warning').to.be.greaterThan(0);
    });
  }
});
