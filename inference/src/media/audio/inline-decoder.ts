import { viewOf } from '../bytes.js';
import { createDecoder, type DecoderChoice } from './decoders/create.js';
import { SPEECH_SAMPLE_RATE_HZ } from './pcm.js';
import { type DecoderHost, DecodeSession } from './session.js';

const MAX_INLINE_CHANNELS = 2;
/** WAV format tags of PCM, float, A-law and mu-law. */
const INLINE_TAGS: ReadonlySet<number> = new Set([1, 3, 6, 7]);

/**
 * Returns whether decoding is trivial: uncompressed samples at 16 kHz with one or two channels. Two seconds take less than a
 * millisecond, less than a round trip to a thread.
 */
export function canDecodeInline(format: DecoderChoice['format'], head: Uint8Array): boolean {
  if (typeof format !== 'string') {
    return format.sampleRateHz === SPEECH_SAMPLE_RATE_HZ && format.channelCount <= MAX_INLINE_CHANNELS;
  }
  if (format !== 'wav' || head.length < 28) return false;
  const view = viewOf(head);
  // Requires `fmt ` as the first chunk, as nearly every writer does. WAV codecs other than PCM are decoded in the thread.
  return (
    INLINE_TAGS.has(tagOf(view)) &&
    view.getUint32(12) === 0x666d7420 &&
    view.getUint16(22, true) <= MAX_INLINE_CHANNELS &&
    view.getUint32(24, true) === SPEECH_SAMPLE_RATE_HZ
  );
}

/** Returns the format tag of a WAV whose first chunk is `fmt `; WAVE_FORMAT_EXTENSIBLE has it in its GUID. */
function tagOf(view: DataView): number {
  const tag = view.getUint16(20, true);
  return tag === 0xfffe && view.byteLength >= 46 ? view.getUint16(44, true) : tag;
}

/** Creates a decoder that runs in the reader's thread. */
export async function createInlineDecoder(choice: DecoderChoice): Promise<DecoderHost> {
  const session = new DecodeSession(await createDecoder(choice));
  return {
    pull: (request) => session.pull(request),
    close: async () => session.close(),
  };
}
