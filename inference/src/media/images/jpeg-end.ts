import { InferenceError } from '../../errors.js';
import { type JpegScans, readJpegScans } from './jpeg-scans.js';
import { isDecodeTimeUp, openImage, readSamples } from './open.js';

const END_OF_IMAGE = Buffer.from([0xff, 0xd9]);
/** Maximum missing part at the end: this fraction of the blocks, or the last block if that is more. */
const MAX_MISSING_SHARE = 0.01;
/** libjpeg's fill value for missing data: no colour, half of the light. */
const UNDECODED = 128;
/** How far smoothing between blocks reaches into a block. */
const BORDER = 2;

/**
 * Repairs a JPEG that libjpeg reports as truncated if almost nothing is missing: only the end marker (many cameras and
 * interrupted downloads; all viewers show such files), or at most 1 % of its blocks and at least the last one, which
 * become grey. Throws an InferenceError where more is missing. Progressive files may lack only the end marker, because
 * their last bytes are details of the whole image.
 */
export async function repairJpegEnd(content: Uint8Array): Promise<Uint8Array> {
  const whole = Buffer.concat([content, END_OF_IMAGE]);
  const scans = readJpegScans(content);
  if (scans?.complete === true && (await decodesWhole(whole))) return whole;
  const share = scans?.sequential === true ? await missingShare(whole, scans) : undefined;
  if (share === undefined || share.blocks > Math.max(1, share.of * MAX_MISSING_SHARE)) {
    const percent = share === undefined ? undefined : Math.max(1, Math.round((share.blocks / share.of) * 100));
    throw new InferenceError(
      'IMAGE_UNREADABLE',
      `Expected a whole JPEG image, got ${content.length.toLocaleString('en')} bytes that end too early: ` +
        `${percent === undefined ? 'a part' : `about ${percent} %`} of the image is missing. Send the whole file.`,
    );
  }
  return whole;
}

/** Whether libjpeg has pixels for the whole image. Extra bytes before the end marker are ignored. */
async function decodesWhole(content: Uint8Array): Promise<boolean> {
  try {
    await readSamples(() => openImage(content, { failOn: 'warning' }));
    return true;
  } catch (error) {
    if (isDecodeTimeUp(error)) throw error;
    return error instanceof Error && /extraneous bytes/i.test(error.message) && !/premature end/i.test(error.message);
  }
}

async function missingShare(
  content: Uint8Array,
  block: JpegScans,
): Promise<{ blocks: number; of: number } | undefined> {
  const { data, info } = await readSamples(() => openImage(content, { ignoreIcc: true }));
  // Only for grey and RGB: in other colour spaces the fill value differs after conversion.
  if (info.channels !== 1 && info.channels !== 3) return undefined;
  const columns = Math.ceil(info.width / block.blockWidth);
  const of = columns * Math.ceil(info.height / block.blockHeight);
  let last = of - 1;
  while (last >= 0 && isUndecoded(data, info, block, last % columns, Math.floor(last / columns))) last -= 1;
  // The block in which the data ends is itself broken.
  return { blocks: Math.min(of, of - last), of };
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
