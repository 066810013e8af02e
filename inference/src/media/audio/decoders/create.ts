import { noSuchTrack } from '../containers/choose-track.js';
import { ContainerDecoder } from '../containers/container-decoder.js';
import type { AudioContainer, RawAudioFormat } from '../formats.js';
import type { Decoder } from './decoder.js';
import { FlacDecoder } from './flac.js';
import { Mp3Decoder } from './mp3.js';
import { OggDecoder } from './ogg.js';
import { RawDecoder } from './raw.js';
import { WavDecoder } from './wav.js';

/** What is to be decoded, as the opener found it. */
export interface DecoderChoice {
  readonly format: AudioContainer | RawAudioFormat;
  /** Size of the whole content; undefined for one that is still arriving. */
  readonly contentBytes: number | undefined;
  /** The audio track that is wanted; undefined: whichever can be decoded. */
  readonly audioTrack: number | undefined;
}

const CREATORS = {
  wav: async ({ contentBytes }) => new WavDecoder(contentBytes),
  flac: () => FlacDecoder.create(),
  mp3: () => Mp3Decoder.create(),
  ogg: async () => new OggDecoder(),
  mp4: async ({ audioTrack }) => new ContainerDecoder('mp4', audioTrack),
  matroska: async ({ audioTrack }) => new ContainerDecoder('matroska', audioTrack),
  'mpeg-ts': async ({ audioTrack }) => new ContainerDecoder('mpeg-ts', audioTrack),
  adts: async ({ audioTrack }) => new ContainerDecoder('adts', audioTrack),
} satisfies Record<AudioContainer, (choice: DecoderChoice) => Promise<Decoder>>;

const ONE_TRACK: ReadonlySet<AudioContainer> = new Set(['wav', 'flac', 'mp3', 'ogg']);

/** The decoder for a format; loads its library. Throws INVALID_ARGUMENT for a track that the format has no place for. */
export async function createDecoder(choice: DecoderChoice): Promise<Decoder> {
  const { format, audioTrack = 0 } = choice;
  const name = typeof format === 'string' ? format.toUpperCase() : 'samples';
  if (audioTrack > 0 && (typeof format !== 'string' || ONE_TRACK.has(format)))
    throw noSuchTrack(audioTrack, [`0 (${name})`]);
  return typeof format === 'string' ? CREATORS[format](choice) : new RawDecoder(format, choice.contentBytes);
}
