import { MIB } from '@heimdex/common';
import {
  AdtsInputFormat,
  type InputFormat,
  MatroskaInputFormat,
  MpegTsInputFormat,
  QuickTimeInputFormat,
} from 'mediabunny';
import type { PacketContainer } from '../formats.js';
import { transportLayout } from '../transport-layout.js';
import type { ArrivingSourceOptions } from './arriving-source.js';
import { adtsLengthAt, FrameResync, transportLengthAt } from './frame-resync.js';

/** An index at the end of a file makes it necessary to hold the file until there. */
export const INDEX_LAST_MAX_BYTES = 256 * MIB;
/** Tracks that do not begin within this are no tracks. */
const TRACKS_WITHIN_BYTES = 32 * MIB;

// Which format it is was found before; QuickTime files of old times have no `ftyp` to ask for.
class AnyMp4 extends QuickTimeInputFormat {
  async _canReadInput(): Promise<boolean> {
    return true;
  }
}
class AnyMatroska extends MatroskaInputFormat {
  async _canReadInput(): Promise<boolean> {
    return true;
  }
}

export interface ContainerFormat {
  /** As messages name it. */
  readonly name: string;
  readonly input: () => InputFormat;
  readonly source: ArrivingSourceOptions;
  /** Drops what is no frame before the demuxer sees it; by the first bytes. */
  readonly resync?: (head: Uint8Array) => FrameResync;
  /** Times count from the earliest of all tracks, as players show them: the clock of a broadcast begins anywhere. */
  readonly broadcastClock: boolean;
  /** It has an index in a box `moov`. */
  readonly hasMoov: boolean;
  /** The demuxer looks at all there is: what it leaves unread, it could not read. */
  readonly readsToEnd: boolean;
  /** Its header says how long the longest track is. */
  readonly lengthInHeader: boolean;
  /** The samples that Opus skips at its start count in the times. */
  readonly countsOpusDelay: boolean;
}

const tracksMissing = `its tracks do not begin within the first ${TRACKS_WITHIN_BYTES / MIB} MiB`;

/** By kind: how a container is read. */
export const CONTAINER_FORMATS: Readonly<Record<PacketContainer, ContainerFormat>> = {
  mp4: {
    name: 'MP4',
    input: () => new AnyMp4(),
    source: {
      openingMaxBytes: INDEX_LAST_MAX_BYTES,
      beyondOpening:
        `its index (moov) lies behind its media, beyond the ${INDEX_LAST_MAX_BYTES / MIB} MiB that are held for it. ` +
        'Write it first (`ffmpeg -i IN -c copy -movflags +faststart OUT`), or let the client read the film from disk: it ' +
        'sends the audio track alone',
      padLastRead: false,
    },
    broadcastClock: false,
    hasMoov: true,
    readsToEnd: true,
    lengthInHeader: false,
    countsOpusDelay: false,
  },
  matroska: {
    name: 'WebM or Matroska',
    input: () => new AnyMatroska(),
    source: { openingMaxBytes: TRACKS_WITHIN_BYTES, beyondOpening: tracksMissing, padLastRead: true },
    broadcastClock: false,
    hasMoov: false,
    readsToEnd: false,
    lengthInHeader: true,
    countsOpusDelay: true,
  },
  'mpeg-ts': {
    name: 'MPEG-TS',
    input: () => new MpegTsInputFormat(),
    resync: (head) => new FrameResync(transportLengthAt(...transportLayout(head))),
    source: { openingMaxBytes: TRACKS_WITHIN_BYTES, beyondOpening: tracksMissing, padLastRead: false },
    broadcastClock: true,
    hasMoov: false,
    readsToEnd: true,
    lengthInHeader: false,
    countsOpusDelay: false,
  },
  adts: {
    name: 'AAC (ADTS)',
    input: () => new AdtsInputFormat(),
    resync: () => new FrameResync(adtsLengthAt),
    source: { openingMaxBytes: TRACKS_WITHIN_BYTES, beyondOpening: tracksMissing, padLastRead: false },
    broadcastClock: false,
    hasMoov: false,
    readsToEnd: true,
    lengthInHeader: false,
    countsOpusDelay: false,
  },
};
