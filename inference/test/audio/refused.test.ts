import { expect } from 'chai';
import { caseOf, inParts, refusal } from './read-audio.js';

const CONVERT = '`ffmpeg -i IN -vn -c:a flac OUT.flac`';

function beginning(...parts: readonly (string | number)[]): Uint8Array {
  const content = Buffer.alloc(9_000);
  Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.alloc(part))),
  ).copy(content);
  return content;
}

/** First bytes and the name in the error. */
const OTHERS: readonly (readonly [name: string, content: Uint8Array])[] = [
  ['an AMR-NB file', beginning('#!AMR\n')],
  ['an AMR-WB file', beginning('#!AMR-WB\n')],
  ['a Windows Media file', beginning('\x30\x26\xb2\x75')],
  ['AC-3 or E-AC-3 without a container', beginning('\x0b\x77')],
  ['DTS without a container', beginning('\x7f\xfe\x80\x01')],
  ['a True Audio file', beginning('TTA1')],
  ['a NIST SPHERE file', beginning('NIST_1A\n   1024\n')],
  ['a RealMedia file', beginning('.RMF')],
  ['a Flash video', beginning('FLV\x01')],
  ['Speex in Ogg', beginning('OggS', 24, 'Speex   ')],
];

describe('Audio of an unsupported kind', () => {
  for (const [name, content] of OTHERS) {
    it(`is rejected by name, with the command that converts it: ${name}`, async () => {
      const error = await refusal(content);
      expect(error.code).to.equal('AUDIO_UNREADABLE');
      expect(error.message).to.contain(`looks like ${name}.`).and.to.contain(CONVERT);
    });
  }

  it('does not advise FFmpeg for what is no audio', async () => {
    expect((await refusal(beginning('%PDF'))).message)
      .to.contain('a PDF document')
      .and.not.to.contain('ffmpeg');
  });

  it('is not to be converted where a video has no sound', async () => {
    // The audio becomes a track of another kind: in the handler of MP4, in the TrackType of Matroska.
    for (const [name, audio, other] of [
      ['video_opus_in.mp4', 'soun', 'subt'],
      ['video_h264_aac.mkv', '\x83\x81\x02', '\x83\x81\x11'],
    ] as const) {
      const content = Buffer.from(await caseOf(name));
      content.write(other, content.indexOf(audio, 0, 'latin1'), 'latin1');
      const error = await refusal(content);
      expect(error.code, name).to.equal('AUDIO_UNREADABLE');
      expect(error.message, name).to.contain('has no audio track').and.not.to.contain('ffmpeg');
    }
  });

  it('is named if it is MPEG-TS with encrypted packets', async () => {
    const video = Uint8Array.from(await caseOf('video_h264_aac.mpegts'));
    // All but the tables: the packets of data have other bits and the mark.
    for (let at = 3 * 188; at < video.length; at += 188) {
      video[at + 3] = (video[at + 3] ?? 0) | 0x80;
      for (let byte = at + 4; byte < at + 188; byte++) video[byte] = (video[byte] ?? 0) ^ 0x5a;
    }
    expect((await refusal(video)).message).to.equal('The MPEG-TS file cannot be read: it is encrypted.');
  });

  it('is named if it is AAC in LATM frames, alone and in MPEG-TS, whole and in chunks', async () => {
    const alone = await refusal(await caseOf('he_aac.loas'));
    expect(alone.message).to.contain('AAC in LOAS/LATM frames').and.to.contain(CONVERT);
    const video = await caseOf('he_aac_latm.mpegts');
    for (const given of [video, inParts(video, 1_000)]) {
      const error = await refusal(given);
      expect(error.message).to.contain('only unsupported audio: AAC in LATM frames.').and.to.contain(CONVERT);
    }
  });
});
