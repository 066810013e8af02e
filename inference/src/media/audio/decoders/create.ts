import { noSuchTrack } from '../containers/choose-track.js';
import type { AudioContainer, PacketContainer, RawAudioFormat } from '../formats.js';
import type { Decoder } from './decoder.js';
import { FlacDecoder } from './flac.js';
import { Mp3Decoder } from './mp3.js';
import { OggDecoder } from './ogg.js';
import { PcmFileDecoder } from './pcm-file.js';
import { readAiffHeader, readAuHeader, readCafHeader } from './pcm-headers.js';
import { RawDecoder } from './raw.js';
import { readWavHeader } from './wav.js';

/** The detected format and the options of the decoder. */
export interface DecoderChoice {
  readonly format: AudioContainer | RawAudioFormat;
  /** Size of the content; undefined while it is arriving. */
  readonly contentBytes: number | undefined;
  /** The requested audio track; undefined: the first that can be decoded. */
  readonly audioTrack?: number | undefined;
}

/** Of formats with one track. */
const CREATORS = {
  wav: async ({ contentBytes }) => new PcmFileDecoder('WAV', readWavHeader(), contentBytes),
  flac: () => FlacDecoder.create(),
  mp3: () => Mp3Decoder.create(),
  ogg: async () => new OggDecoder(),
  aiff: async ({ contentBytes }) => new PcmFileDecoder('AIFF', readAiffHeader(), contentBytes),
  au: async ({ contentBytes }) => new PcmFileDecoder('AU', readAuHeader(), contentBytes),
  caf: async ({ contentBytes }) => new PcmFileDecoder('CAF', readCafHeader(), contentBytes),
} satisfies Record<Exclude<AudioContainer, PacketContainer>, (choice: DecoderChoice) => Promise<Decoder>>;

/** Creates the decoder of a format and loads its library. Throws INVALID_ARGUMENT for a track that the format cannot have. */
export async function createDecoder(choice: DecoderChoice): Promise<Decoder> {
  const { format, audioTrack, contentBytes } = choice;
  if (typeof format === 'string' && !hasOneTrack(format)) return containerDecoder(format, audioTrack);
  const name = typeof format === 'string' ? format.toUpperCase() : 'samples';
  if (audioTrack !== undefined && audioTrack > 0) throw noSuchTrack(audioTrack, [`0 (${name})`]);
  return typeof format === 'string' ? CREATORS[format](choice) : new RawDecoder(format, contentBytes);
}

function hasOneTrack(format: AudioContainer): format is keyof typeof CREATORS {
  return Object.hasOwn(CREATORS, format);
}

/** The demuxer is large: it is loaded only for containers. */
async function containerDecoder(kind: PacketContainer, audioTrack: number | undefined): Promise<Decoder> {
  const { ContainerDecoder } = await import('../containers/container-decoder.js');
  return new ContainerDecoder(kind, audioTrack);
}
