import { InferenceError } from '../../errors.js';
import { viewOf } from './icc.js';
import { openImage } from './open.js';

const END_OF_IMAGE = Buffer.from([0xff, 0xd9]);
/** What may be missing at the end: this share of the image's blocks of pixels, or its last block where that is more. */
const MAX_MISSING_SHARE = 0.01;
/** What libjpeg shows where no data came: no colour, half of the light. */
const UNDECODED = 128;
/** Smoothing between blocks reaches so far into one. */
const BORDER = 2;

/** How a JPEG's blocks lie, as far as its header says. */
interface Blocks {
  readonly width: number;
  readonly height: number;
  /** All components in one scan, one pass: its blocks are stored in the order they are shown. */
  readonly sequential: boolean;
}

/**
 * A JPEG that libjpeg called too short, made whole where next to nothing is missing: the end marker alone (many cameras
 * and interrupted downloads; every viewer shows such a file), or at most 1 % of its blocks of pixels, the last one at least,
 * which then are grey. Throws an InferenceError where more is missing. Progressive files may lack the end marker alone: their
 * last bytes are details of the whole image.
 */
export async function repairJpegEnd(content: Uint8Array): Promise<Uint8Array> {
  const whole = Buffer.concat([content, END_OF_IMAGE]);
  if (await decodesWhole(whole)) return whole;
  const blocks = blocksOf(content);
  const share = blocks === undefined || !blocks.sequential ? undefined : await missingShare(whole, blocks);
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

/** Whether libjpeg has pixels for the whole image; bytes that it does not need, before the end marker, are not looked at. */
async function decodesWhole(content: Uint8Array): Promise<boolean> {
  try {
    await openImage(content, { failOn: 'warning' }).raw().toBuffer();
    return true;
  } catch (error) {
    return error instanceof Error && /extraneous bytes/i.test(error.message) && !/premature end/i.test(error.message);
  }
}

async function missingShare(content: Uint8Array, block: Blocks): Promise<{ blocks: number; of: number } | undefined> {
  const { data, info } = await openImage(content, { ignoreIcc: true }).raw().toBuffer({ resolveWithObject: true });
  // Other colours than grey and RGB are converted, and "no data" is then another colour.
  if (info.channels !== 1 && info.channels !== 3) return undefined;
  const columns = Math.ceil(info.width / block.width);
  const of = columns * Math.ceil(info.height / block.height);
  let last = of - 1;
  while (last >= 0 && isUndecoded(data, info, block, last % columns, Math.floor(last / columns))) last -= 1;
  // The block in which the data end is broken itself.
  return { blocks: Math.min(of, of - last), of };
}

function isUndecoded(
  data: Uint8Array,
  info: { readonly width: number; readonly height: number; readonly channels: number },
  block: Blocks,
  column: number,
  row: number,
): boolean {
  const right = Math.min((column + 1) * block.width - BORDER, info.width);
  const bottom = Math.min((row + 1) * block.height - BORDER, info.height);
  for (let y = row * block.height + BORDER; y < bottom; y += 1) {
    const from = (y * info.width + column * block.width + BORDER) * info.channels;
    const to = (y * info.width + right) * info.channels;
    for (let at = from; at < to; at += 1) if (data[at] !== UNDECODED) return false;
  }
  return true;
}

/** Reads the frame header and the first scan's. Layout: ITU-T T.81, sections B.2.2 and B.2.3. */
function blocksOf(content: Uint8Array): Blocks | undefined {
  const view = viewOf(content);
  let frame: { width: number; height: number; components: number; baseline: boolean } | undefined;
  for (let at = 2; at + 4 <= content.length && content[at] === 0xff; ) {
    const marker = view.getUint8(at + 1);
    const length = view.getUint16(at + 2);
    if (at + 2 + length > content.length) return undefined;
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker) && length >= 8) {
      const components = view.getUint8(at + 9);
      let [across, down] = [1, 1];
      for (let index = 0; index < components && 11 + index * 3 < length + 2; index += 1) {
        const sampling = view.getUint8(at + 11 + index * 3);
        across = Math.max(across, sampling >> 4);
        down = Math.max(down, sampling & 15);
      }
      // One component's blocks are of 8 x 8, whatever its sampling says.
      if (components === 1) [across, down] = [1, 1];
      frame = { width: across * 8, height: down * 8, components, baseline: marker <= 0xc1 };
    }
    if (marker === 0xda) {
      if (frame === undefined) return undefined;
      return { ...frame, sequential: frame.baseline && view.getUint8(at + 4) === frame.components };
    }
    at += 2 + length;
  }
  return undefined;
}
