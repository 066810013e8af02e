import { MIB } from '@heimdex/common';
import type { InputFormat } from 'mediabunny';
import { ONLY_AUDIO_ADVICE, type PacketContainer } from '../formats.js';
import { AdtsResync } from './adts-mark.js';
import type { ArrivingSourceOptions } from './arriving-source.js';
import { ClusterResync } from './cluster-resync.js';
import type { Resync } from './frame-resync.js';
import { listsOneTrack, unsupportedMatroskaAudio } from './matroska-tracks.js';
import { mediabunny } from './mediabunny.js';
import { unsupportedTransportAudio } from './transport-audio.js';
import { isScrambled } from './transport-map.js';
import { TransportResync } from './transport-resync.js';

/** Maximum bytes buffered for a file with its index at the end. */
const INDEX_LAST_MAX_BYTES = 256 * MIB;
/** Maximum offset of the first tracks. */
const TRACKS_WITHIN_BYTES = 32 * MIB;

// Skips the library's detection, since the format is known: old QuickTime files have no `ftyp`.
class AnyMp4 extends mediabunny.QuickTimeInputFormat {
  async _canReadInput(): Promise<boolean> {
    return true;
  }
}
class AnyMatroska extends mediabunny.MatroskaInputFormat {
  async _canReadInput(): Promise<boolean> {
    return true;
  }
}

export interface ContainerFormat {
  /** Name in messages. */
  readonly name: string;
  readonly input: () => InputFormat;
  readonly source: ArrivingSourceOptions;
  /** Creates a filter that removes damage before the demuxer, from the first bytes. */
  readonly resync?: (head: Uint8Array) => Resync;
  /** Names the audio that the demuxer leaves out, from the first bytes that it gets. */
  readonly unsupportedAudio?: (head: Uint8Array) => readonly string[];
  /** Whether content that begins like this is encrypted, which the demuxer takes for damage. */
  readonly isEncrypted?: (head: Uint8Array) => boolean;
  /** Times are relative to the earliest of all tracks, as in players: a broadcast's clock starts anywhere. */
  readonly broadcastClock?: true;
  /** It has an index in a `moov` box. */
  readonly hasMoov?: true;
  /** The demuxer reads everything: unread bytes were unreadable. */
  readonly readsToEnd?: true;
  /** Whether the duration in its header, that of the longest track, is the audio's: the only track, from the first bytes. */
  readonly listsOneTrack?: (head: Uint8Array) => boolean;
  /** Timestamps include Opus's pre-skip samples. */
  readonly countsOpusDelay?: true;
}

const TRACKS_FIRST: ArrivingSourceOptions = {
  openingMaxBytes: TRACKS_WITHIN_BYTES,
  beyondOpening: `no track begins within the first ${TRACKS_WITHIN_BYTES / MIB} MiB`,
};

/** The properties of each container. */
export const CONTAINER_FORMATS: Readonly<Record<PacketContainer, ContainerFormat>> = {
  mp4: {
    name: 'MP4',
    input: () => new AnyMp4(),
    source: {
      openingMaxBytes: INDEX_LAST_MAX_BYTES,
      beyondOpening:
        `its index (moov) is after its media, beyond the first ${INDEX_LAST_MAX_BYTES / MIB} MiB. ` +
        `Move it to the front (\`ffmpeg -i IN -c copy -movflags +faststart OUT\`), ${ONLY_AUDIO_ADVICE}`,
    },
    hasMoov: true,
    readsToEnd: true,
  },
  matroska: {
    name: 'WebM or Matroska',
    input: () => new AnyMatroska(),
    resync: () => new ClusterResync(),
    unsupportedAudio: unsupportedMatroskaAudio,
    source: { ...TRACKS_FIRST, padLastRead: true },
    listsOneTrack,
    countsOpusDelay: true,
  },
  'mpeg-ts': {
    name: 'MPEG-TS',
    input: () => new mediabunny.MpegTsInputFormat(),
    resync: (head) => new TransportResync(head),
    unsupportedAudio: unsupportedTransportAudio,
    isEncrypted: isScrambled,
    source: TRACKS_FIRST,
    broadcastClock: true,
    readsToEnd: true,
  },
  adts: {
    name: 'AAC (ADTS)',
    input: () => new mediabunny.AdtsInputFormat(),
    resync: () => new AdtsResync(),
    source: TRACKS_FIRST,
    readsToEnd: true,
  },
};
