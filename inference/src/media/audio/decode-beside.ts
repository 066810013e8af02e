import { createDecoder, type DecoderChoice } from './decoders/create.js';
import type { DecoderHost } from './decoding-place.js';
import { SPEECH_SAMPLE_RATE_HZ } from './pcm.js';
import { type DecodeAnswer, type DecodeRequest, DecodeSession } from './session.js';

const LIGHT_CHANNELS_MAX = 2;
/** PCM, float, A-law and mu-law. */
const LIGHT_TAGS: ReadonlySet<number> = new Set([1, 3, 6, 7]);

/**
 * Whether decoding is no more than reading numbers: samples at 16 kHz already, uncompressed, of one or two channels. Two
 * seconds of it take less than a millisecond, less than handing it to a thread and back.
 */
export function isLight(format: DecoderChoice['format'], head: Uint8Array): boolean {
  if (typeof format !== 'string') {
    return format.sampleRateHz === SPEECH_SAMPLE_RATE_HZ && format.channelCount <= LIGHT_CHANNELS_MAX;
  }
  if (format !== 'wav' || head.length < 28) return false;
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  // `fmt ` as the first chunk, as nearly every writer has it. Codecs of WAV other than PCM decode in the thread.
  return (
    LIGHT_TAGS.has(tagOf(view)) &&
    view.getUint32(12) === 0x666d7420 &&
    view.getUint16(22, true) <= LIGHT_CHANNELS_MAX &&
    view.getUint32(24, true) === SPEECH_SAMPLE_RATE_HZ
  );
}

/** Of a WAV whose first chunk is `fmt `; WAVE_FORMAT_EXTENSIBLE has the tag in its GUID. */
function tagOf(view: DataView): number {
  const tag = view.getUint16(20, true);
  return tag === 0xfffe && view.byteLength >= 46 ? view.getUint16(44, true) : tag;
}

/** Decodes in the reader's own thread. */
export async function decodeInWorker(choice: DecoderChoice): Promise<DecoderHost> {
  const session = new DecodeSession(await createDecoder(choice));
  return {
    pull: (request: DecodeRequest): Promise<DecodeAnswer> => session.pull(request),
    close: async () => session.close(),
  };
}
