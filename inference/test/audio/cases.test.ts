import { expect } from 'chai';
import { alike, caseOf, expectSame, fromRoot, inParts, refusal, transcribe } from './read-audio.js';

const RATE_HZ = 16_000;

/** The offset of a part of the reference in seconds, and its correlation. */
function transcribedAt(wanted: Float32Array, samples: Float32Array, seconds: number): { value: number; late: number } {
  const expected = Math.round(seconds * RATE_HZ);
  const from = Math.max(0, expected - 1_600);
  const { value, shift } = alike(wanted, samples.subarray(from), 3_200);
  return { value, late: (from + shift) / RATE_HZ - seconds };
}

/** Files with the sentence: duration, start, and correlation with the original samples. */
interface Sentence {
  readonly seconds: number;
  /** The start of the sentence's samples, for each repetition. */
  readonly at: readonly number[];
  readonly codec: string;
  readonly least: number;
}
const AAC = { codec: 'AAC', least: 0.95 };
const OPUS = { codec: 'Opus', least: 0.9 };
/** AAC begins with a delay of 1,024 samples (at 16 or 48 kHz), which files without an edit list include. */
const SENTENCES: Readonly<Record<string, Sentence>> = {
  'quicktime_pcm.mov': { seconds: 2.99, at: [0], codec: 'PCM', least: 0.9999 },
  'quicktime_aac.mov': { ...AAC, seconds: 2.99, at: [0] },
  'fragmented_video_16k_pieces.mp4': { ...AAC, seconds: 3.03, at: [0.021] },
  'index_then_fragments.mp4': { ...AAC, seconds: 3.07, at: [0.064] },
  'audio_starts_2s_late.mp4': { ...AAC, seconds: 4.99, at: [2] },
  'audio_gap_4s.mp4': { ...AAC, seconds: 9.98, at: [0, 6.99] },
  'adts.aac': { ...AAC, seconds: 3.072, at: [0.064] },
  'video_h264_aac.mkv': { ...AAC, seconds: 3.03, at: [0.021] },
  'video_h264_aac.mpegts': { ...AAC, seconds: 3.03, at: [0.021] },
  'antiphase.m4a': { ...AAC, seconds: 2.99, at: [0] },
  'video_opus_in.mp4': { ...OPUS, seconds: 2.99, at: [0] },
  'video_vp8_opus.webm': { ...OPUS, seconds: 2.994, at: [0] },
  'mediarecorder_live_opus.webm': { ...OPUS, seconds: 2.994, at: [0] },
  'video_vorbis_laced.webm': { codec: 'Vorbis', least: 0.9, seconds: 3.011, at: [0] },
  'chained.opus': { ...OPUS, seconds: 5.98, at: [0, 2.99] },
  // Its tag tells the delay: 6,144 samples at 44.1 kHz, to which the decoder adds 962.
  'he_aac_v2.m4a': { ...AAC, seconds: 2.99, at: [0] },
  'aac_lc_then_he.aac': { ...AAC, seconds: 6.223, at: [0.093, 3.226] },
  'aac_program_config.m4a': { ...AAC, seconds: 2.99, at: [0] },
  'aac_program_config.aac': { ...AAC, seconds: 3.072, at: [0.064] },
  'aac_program_config.mpegts': { ...AAC, seconds: 3.072, at: [0.064] },
  'mp3_rate_change.mp3': { codec: 'MP3', least: 0.9, seconds: 5.98, at: [0, 2.99] },
};

describe('The cases', () => {
  let sentence: Float32Array;
  before(async () => {
    // Lossless and surrounded by silence.
    sentence = (await transcribe(await caseOf('quicktime_pcm.mov'))).samples;
  });

  for (const [name, { seconds, at, codec, least }] of Object.entries(SENTENCES)) {
    it(`decode the sentence at its position, whole and in chunks: ${name}`, async () => {
      const bytes = await caseOf(name);
      const whole = await transcribe(bytes);
      const { samples, warnings, track } = whole;
      expect(samples.length / RATE_HZ).to.be.closeTo(seconds, 0.02);
      expect(track).to.include({ index: 0, codec });
      for (const each of at) {
        const { value, late } = transcribedAt(sentence.subarray(3_200, 44_800), samples, each + 0.2);
        expect(value, `at ${each} s`).to.be.above(least);
        expect(late, `at ${each} s`).to.be.within(-0.03, 0.03);
      }
      expect(warnings.length).to.equal(name.startsWith('antiphase') ? 1 : 0);
      expectSame(await transcribe(inParts(bytes, 1_024)), whole, 'in chunks');
    });
  }

  for (const name of ['faststart_video_loses_end.mp4', 'fragmented_video_loses_end.mp4']) {
    it(`are decoded to the end next to a video track: ${name}`, async () => {
      const bytes = await caseOf(name);
      const whole = await transcribe(bytes);
      expect(whole.samples.length / RATE_HZ).to.be.within(10.98, 11.14);
      expect(whole.warnings).to.deep.equal([]);
      // "what you can do for your country": each of the last seconds has speech.
      for (const second of [8, 9]) {
        const loud = Math.hypot(...whole.samples.subarray(second * RATE_HZ, (second + 1) * RATE_HZ));
        expect(loud, `second ${second}`).to.be.above(2);
      }
      for (const size of [65_536, 1_024])
        expectSame(await transcribe(inParts(bytes, size)), whole, `chunks of ${size} bytes`);
    });
  }

  for (const [name, numbers] of [
    ['longer than the media', '00000000 00000C00 00000300 00000000FFFFFFFF'],
    ['without samples', '00000000 00000C00 00000300 0000000000000000'],
    ['of something else', 'iTunes is a program for music and for nothing but'],
  ] as const) {
    it(`are read whole if the tag of their delay is damaged: ${name}`, async () => {
      const bytes = Buffer.from(await caseOf('he_aac_v2.m4a'));
      const at = bytes.indexOf('00000000 ', bytes.indexOf('iTunSMPB'), 'latin1');
      bytes.write(numbers, at, 'latin1');
      const { samples, warnings } = await transcribe(bytes);
      expect(samples.length / RATE_HZ).to.be.closeTo(3.136, 0.001);
      expect(warnings).to.deep.equal([]);
    });
  }

  it('preserve silence in the gap and before the beginning', async () => {
    const gap = (await transcribe(await caseOf('audio_gap_4s.mp4'))).samples.subarray(3.1 * RATE_HZ, 6.9 * RATE_HZ);
    const late = (await transcribe(await caseOf('audio_starts_2s_late.mp4'))).samples.subarray(0, 1.9 * RATE_HZ);
    for (const silence of [gap, late]) expect(silence.every((sample) => sample === 0)).to.equal(true);
  });

  it('are rejected by name if nothing lists the channels of AAC', async () => {
    const bytes = await caseOf('aac_program_config.aac');
    const second = Buffer.from(bytes).indexOf(bytes.subarray(0, 3), 1);
    const error = await refusal(bytes.subarray(second));
    expect(error.code).to.equal('AUDIO_UNREADABLE');
    expect(error.message).to.contain('AAC with channel configuration 0');
  });

  it('use one channel if channels cancel, with a warning', async () => {
    const { warnings } = await transcribe(await caseOf('antiphase.m4a'));
    expect(warnings[0]).to.contain('channels cancel');
  });
});

describe('Audio tracks', () => {
  const VIDEO = 'ac3_first_aac_second.mp4';

  it('are listed in a warning with the one that was used', async () => {
    const { samples, warnings, track } = await transcribe(await caseOf(VIDEO));
    expect(samples.length / RATE_HZ).to.be.closeTo(2.99, 0.05);
    expect(track?.codec).to.be.oneOf(['AAC', 'AC-3']);
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.contain(`${track?.index} (${track?.codec}) was used`).and.to.contain('audio_track');
  });

  it('are selected by their index', async () => {
    const { warnings, track } = await transcribe(await caseOf(VIDEO), { audioTrack: 1 });
    expect(track).to.deep.equal({ index: 1, codec: 'AAC', language: '' });
    expect(warnings).to.deep.equal([]);
  });

  it('are listed in the error for an unknown index', async () => {
    const error = await refusal(await caseOf(VIDEO), { audioTrack: 2 });
    expect(error).to.include({ code: 'INVALID_ARGUMENT', field: 'options.audio_track' });
    expect(error.message).to.contain('0 (AC-3)').and.to.contain('1 (AAC)').and.to.contain('got 2');
  });

  for (const path of ['demo/samples/speech/party.flac', 'inference/test/audio/cases/chained.opus']) {
    it(`beyond the first are rejected in formats with one track: ${path}`, async () => {
      const error = await refusal(await fromRoot(path), { audioTrack: 1 });
      expect(error).to.include({ code: 'INVALID_ARGUMENT', field: 'options.audio_track' });
      expect((await transcribe(await fromRoot(path), { audioTrack: 0 })).samples.length).to.be.above(0);
    });
  }
});
