import { numberOf, readHeader } from './ebml.js';

/** Ids of elements (RFC 9559). */
const SEGMENT = 0x18538067;
const TRACKS = 0x1654ae6b;
const TRACK_ENTRY = 0xae;
const TRACK_TYPE = 0x83;
const CONTENT_ENCODINGS = 0x6d80;
const CONTENT_ENCODING = 0x6240;
const CONTENT_COMPRESSION = 0x5034;
const CONTENT_COMPRESSION_ALGORITHM = 0x4254;
const CONTENT_ENCRYPTION = 0x5035;
const AUDIO = 2;
const HEADER_STRIPPING = 3;
const ALGORITHMS = ['zlib', 'bzlib', 'lzo1x'];

/** Returns the names of audio whose blocks are compressed or encrypted, which the demuxer leaves out, from the first bytes of a file. */
export function unsupportedMatroskaAudio(head: Uint8Array): readonly string[] {
  const audio = tracksIn(head).filter((track) => numberIn(track, TRACK_TYPE) === AUDIO);
  const encodings = audio.flatMap((track) =>
    bodiesOf(track, CONTENT_ENCODINGS).flatMap((body) => bodiesOf(body, CONTENT_ENCODING)),
  );
  return [...new Set(encodings.map(nameOf).filter((name) => name !== undefined))];
}

/** Whether the first bytes of a file list one track: the demuxer leaves out subtitles, and tracks that it cannot read. */
export function listsOneTrack(head: Uint8Array): boolean {
  return tracksIn(head).length === 1;
}

function tracksIn(head: Uint8Array): readonly Uint8Array[] {
  return bodiesOf(head, SEGMENT).flatMap((segment) =>
    bodiesOf(segment, TRACKS).flatMap((body) => bodiesOf(body, TRACK_ENTRY)),
  );
}

function nameOf(encoding: Uint8Array): string | undefined {
  if (bodiesOf(encoding, CONTENT_ENCRYPTION).length > 0) return 'encrypted audio';
  const [compression] = bodiesOf(encoding, CONTENT_COMPRESSION);
  if (compression === undefined) return undefined;
  const algorithm = numberIn(compression, CONTENT_COMPRESSION_ALGORITHM) ?? 0;
  return algorithm === HEADER_STRIPPING
    ? undefined
    : `audio compressed by ${ALGORITHMS[algorithm] ?? 'an unknown method'}`;
}

function numberIn(parent: Uint8Array, id: number): number | undefined {
  const [body] = bodiesOf(parent, id);
  return body === undefined ? undefined : numberOf(body);
}

/** The bodies of the children with an id, as far as they are there. */
function bodiesOf(parent: Uint8Array, id: number): readonly Uint8Array[] {
  const bodies: Uint8Array[] = [];
  for (let at = 0; at < parent.length; ) {
    const header = readHeader(parent, at);
    if (header === undefined) break;
    const body = at + header.headerBytes;
    const end = body + (header.size ?? parent.length - body);
    if (header.id === id) bodies.push(parent.subarray(body, end));
    at = end;
  }
  return bodies;
}
