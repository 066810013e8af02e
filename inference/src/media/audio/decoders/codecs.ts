import { createAacDecoder } from './aac.js';
import { createAc3Decoder } from './ac3.js';
import { createAdpcmDecoder } from './adpcm.js';
import { createAlacDecoder } from './alac.js';
import { createGsmDecoder } from './gsm.js';
import { createOpusDecoder } from './opus.js';
import type { CreatePacketDecoder, PacketCodec } from './packet-decoder.js';
import { createPcmDecoder } from './pcm.js';
import { createVorbisDecoder } from './vorbis.js';
import { createFlacPacketDecoder, createMp3PacketDecoder } from './wasm.js';

/** Name and decoder of each codec. */
export const PACKET_CODECS: Readonly<
  Record<PacketCodec, { readonly name: string; readonly create: CreatePacketDecoder }>
> = {
  aac: { name: 'AAC', create: createAacDecoder },
  opus: { name: 'Opus', create: createOpusDecoder },
  vorbis: { name: 'Vorbis', create: createVorbisDecoder },
  mp3: { name: 'MP3', create: createMp3PacketDecoder },
  flac: { name: 'FLAC', create: createFlacPacketDecoder },
  pcm: { name: 'PCM', create: createPcmDecoder },
  alac: { name: 'ALAC', create: createAlacDecoder },
  ac3: { name: 'AC-3', create: createAc3Decoder },
  eac3: { name: 'E-AC-3', create: createAc3Decoder },
  'adpcm-ms': { name: 'Microsoft ADPCM', create: createAdpcmDecoder },
  'adpcm-ima': { name: 'IMA ADPCM', create: createAdpcmDecoder },
  gsm: { name: 'GSM 6.10', create: createGsmDecoder },
};

/** The codecs, for messages to the caller. */
export const CODECS_TEXT = Object.values(PACKET_CODECS)
  .map(({ name }) => name)
  .join(', ');
