import type { AudioContainer, RawAudioFormat } from '../formats.js';
import type { Decoder } from './decoder.js';
import { FlacDecoder } from './flac.js';
import { Mp3Decoder } from './mp3.js';
import { Mp4Decoder } from './mp4.js';
import { OggDecoder } from './ogg.js';
import { RawDecoder } from './raw.js';
import { WavDecoder } from './wav.js';

/** What is to be decoded, as the opener found it. */
export interface DecoderChoice {
  readonly format: AudioContainer | RawAudioFormat;
  /** Size of the whole content; undefined for one that is still arriving. */
  readonly contentBytes: number | undefined;
}

const CREATORS = {
  wav: async (choice) => new WavDecoder(choice.contentBytes),
  flac: () => FlacDecoder.create(),
  mp3: () => Mp3Decoder.create(),
  'ogg-flac': () => OggDecoder.flac(),
  'ogg-vorbis': () => OggDecoder.vorbis(),
  'ogg-opus': () => OggDecoder.opus(),
  'mp4-aac': () => Mp4Decoder.create(),
} satisfies Record<AudioContainer, (choice: DecoderChoice) => Promise<Decoder>>;

/** The decoder for a format; loads its library. */
export async function createDecoder(choice: DecoderChoice): Promise<Decoder> {
  const { format } = choice;
  return typeof format === 'string' ? CREATORS[format](choice) : new RawDecoder(format, choice.contentBytes);
}
