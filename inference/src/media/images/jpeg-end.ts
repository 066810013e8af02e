import { InferenceError } from '../../errors.js';
import { dataEnds, type JpegScans, readJpegScans } from './jpeg-scans.js';
import { openImage, readSamples } from './open.js';

const END_OF_IMAGE = Buffer.from([0xff, 0xd9]);
/** Maximum missing part at the end: this fraction of the blocks, or the last block if that is more. */
const MAX_MISSING_SHARE = 0.01;
/** libjpeg's fill value for missing data: no colour, half of the light. */
const UNDECODED = 128;
/** Decodes to blocks that are not grey; without FF, which could begin a marker. */
const MORE_DATA = Buffer.from('5a3c96e1780fb42dd2694bc31ea5873c', 'hex');
/** Places of more data: each is a warning, and libvips gives up after a hundred. */
const MAX_MORE_DATA = 50;
/** Zeros kept of those at the end: data may end in FF 00. */
const KEPT_ZEROS = 2;
/** How far smoothing between blocks reaches into a block. */
const BORDER = 2;

/**
 * Returns a JPEG with its end repaired if almost nothing is missing: only the end marker (many cameras and
 * interrupted downloads; all viewers show such files), or at most 1 % of its blocks and at least the last one, which
 * become grey. Throws an InferenceError where more is missing. Progressive files may lack only the end marker, because
 * their last bytes are details of the whole image. Zeros at the end are not data: a download into a file of the full size, or a crash, leaves
 * them, and they would decode to flat blocks.
 */
export async function repairJpegEnd(content: Uint8Array): Promise<Uint8Array> {
  const data = withoutZeros(content);
  const scans = readJpegScans(data);
  if (scans === undefined) return content;
  checkRestartMarkers(content, scans);
  const whole = scans.ended ? content : Buffer.concat([data, END_OF_IMAGE]);
  const decoded = await readSamples(() => openImage(whole, { ignoreIcc: true }));
  const share = missingShare(decoded, scans);
  if (share !== undefined && share.blocks <= Math.max(1, share.of * MAX_MISSING_SHARE)) return whole;
  if ((scans.ended || scans.complete) && (await endsInData(whole, decoded.data))) return whole;
  throw incomplete(content, 'that end too early', share && share.blocks / share.of);
}

function incomplete({ length }: Uint8Array, how: string, missing: number | undefined): InferenceError {
  const part = missing === undefined ? 'a part' : `about ${Math.max(1, Math.round(missing * 100))} %`;
  const got = `got ${length.toLocaleString('en')} bytes ${how}: ${part} of the image is missing`;
  return new InferenceError('IMAGE_UNREADABLE', `Expected a whole JPEG image, ${got}. Send the whole file.`);
}

/**
 * Throws an InferenceError for a JPEG whose restart markers tell that more than MAX_MISSING_SHARE of it is missing, or anything in the middle:
 * libjpeg goes on behind the gap, with what follows it moved up and the rest grey.
 */
function checkRestartMarkers(content: Uint8Array, { restarts: { inOrder, missing } }: JpegScans): void {
  if (inOrder && missing <= MAX_MISSING_SHARE) return;
  throw incomplete(content, 'with gaps', missing > 0 ? missing : undefined);
}

/** Whether a JPEG has zeros in place of its end marker: libjpeg does not warn if they are enough for what is missing. */
export function endsInZeros(content: Uint8Array): boolean {
  return withoutZeros(content).length < content.length && readJpegScans(content)?.ended === false;
}

function withoutZeros(content: Uint8Array): Uint8Array {
  let end = content.length;
  while (end > 0 && content[end - 1] === 0) end -= 1;
  return content.subarray(0, end + KEPT_ZEROS);
}

/**
 * Whether the data of each scan, and between restart markers, is whole: then libjpeg does not read what is put behind it, and the samples
 * remain the same.
 */
async function endsInData(content: Uint8Array, samples: Buffer): Promise<boolean> {
  const ends = dataEnds(content, MAX_MORE_DATA);
  const longer = Buffer.alloc(content.length + ends.length * MORE_DATA.length);
  for (const [index, end] of [0, ...ends].entries()) {
    const to = end + index * MORE_DATA.length;
    if (index > 0) longer.set(MORE_DATA, to - MORE_DATA.length);
    longer.set(content.subarray(end, ends[index]), to);
  }
  return (await readSamples(() => openImage(longer, { ignoreIcc: true }))).data.equals(samples);
}

/** Blocks that are grey for lack of data, and all; undefined where data is not in display order. */
function missingShare(
  { data, info }: Awaited<ReturnType<typeof readSamples>>,
  block: JpegScans,
): { readonly blocks: number; readonly of: number } | undefined {
  // Inks are converted to RGB, so the fill value differs.
  if (!block.sequential || block.components > 3) return undefined;
  const columns = Math.ceil(info.width / block.blockWidth);
  const of = columns * Math.ceil(info.height / block.blockHeight);
  const missing = (index: number): boolean =>
    isUndecoded(data, info, block, index % columns, Math.floor(index / columns));
  // The block in which the data ends is itself broken.
  let blocks = 1;
  for (let index = of - 1; index >= 0; index -= 1) {
    if (missing(index)) blocks += 1;
    // Behind a gap libjpeg goes on at the next restart marker.
    else if (!block.restarts.any) break;
  }
  return { blocks: Math.min(of, blocks), of };
}

function isUndecoded(
  data: Uint8Array,
  info: { readonly width: number; readonly height: number; readonly channels: number },
  block: JpegScans,
  column: number,
  row: number,
): boolean {
  const right = Math.min((column + 1) * block.blockWidth - BORDER, info.width);
  const bottom = Math.min((row + 1) * block.blockHeight - BORDER, info.height);
  for (let y = row * block.blockHeight + BORDER; y < bottom; y += 1) {
    const from = (y * info.width + column * block.blockWidth + BORDER) * info.channels;
    const to = (y * info.width + right) * info.channels;
    for (let at = from; at < to; at += 1) if (data[at] !== UNDECODED) return false;
  }
  return true;
}
