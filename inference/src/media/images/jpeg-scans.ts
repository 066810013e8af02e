import { viewOf } from './icc.js';

/** How a JPEG stores its blocks, from its headers. */
export interface JpegScans {
  /** Size of a block (MCU): everything stored together. */
  readonly blockWidth: number;
  readonly blockHeight: number;
  /** All components in one scan, one pass: blocks are stored in display order. */
  readonly sequential: boolean;
  /** Whether scans for all details of all components have begun. */
  readonly complete: boolean;
}

interface Frame {
  readonly blockWidth: number;
  readonly blockHeight: number;
  readonly components: readonly number[];
  readonly progressive: boolean;
}

/** By component, the lowest bit of each coefficient that scans have begun with so far. */
type LowestBits = Map<number, Uint8Array>;

const COEFFICIENTS = 64;
/** More than any lowest bit: not in a scan yet. */
const NO_BIT = 16;
const MAX_SCAN_COMPONENTS = 4;
const START_OF_SCAN = 0xda;
const END_OF_IMAGE = 0xd9;

/**
 * Reads the headers of a JPEG's frame and of its scans, or undefined where there is neither. Layout: ITU-T T.81, sections
 * B.2.2 and B.2.3, and G.1.1 for progressive files.
 */
export function readJpegScans(content: Uint8Array): JpegScans | undefined {
  try {
    const { frame, first, lowest } = readHeaders(content);
    if (frame === undefined || first === undefined) return undefined;
    const { blockWidth, blockHeight, components, progressive } = frame;
    const complete = components.every((component) => lowest.get(component)?.every((bit) => bit === 0) === true);
    return { blockWidth, blockHeight, sequential: !progressive && first === components.length, complete };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return undefined;
  }
}

/** The frame, the number of the first scan's components, and the bits of all scans: a hostile file has millions of these. */
function readHeaders(content: Uint8Array): {
  readonly frame: Frame | undefined;
  readonly first: number | undefined;
  readonly lowest: LowestBits;
} {
  const view = viewOf(content);
  const lowest: LowestBits = new Map();
  let frame: Frame | undefined;
  let first: number | undefined;
  let at = nextMarker(content, 2);
  while (at + 4 <= content.length && content[at + 1] !== END_OF_IMAGE) {
    const marker = view.getUint8(at + 1);
    const length = view.getUint16(at + 2);
    if (at + 2 + length > content.length) break;
    if (isFrame(marker)) frame ??= readFrame(view, at, marker);
    if (marker === START_OF_SCAN) {
      const count = readScan(view, at, lowest);
      first ??= count;
    }
    at = nextMarker(content, at + 2 + length);
  }
  return { frame, first, lowest };
}

/** Entropy-coded data follows a scan's header; FF in it is followed by 00 or a restart marker. */
function nextMarker(content: Uint8Array, from: number): number {
  for (let at = content.indexOf(0xff, from); at >= 0; at = content.indexOf(0xff, at + 1)) {
    const marker = content[at + 1] ?? 0;
    if (marker !== 0 && marker !== 0xff && (marker < 0xd0 || marker > 0xd7)) return at;
  }
  return content.length;
}

function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

function readFrame(view: DataView, at: number, marker: number): Frame {
  const components: number[] = [];
  let [across, down] = [1, 1];
  for (let index = 0; index < view.getUint8(at + 9); index += 1) {
    const entry = at + 10 + index * 3;
    components.push(view.getUint8(entry));
    across = Math.max(across, view.getUint8(entry + 1) >> 4);
    down = Math.max(down, view.getUint8(entry + 1) & 15);
  }
  // A scan of one component has 8 x 8 blocks, whatever its sampling.
  if (components.length === 1) [across, down] = [1, 1];
  const progressive = marker === 0xc2 || marker === 0xc6 || marker === 0xca || marker === 0xce;
  return { blockWidth: across * 8, blockHeight: down * 8, components, progressive };
}

/** Notes the bits of a scan and returns the number of its components. Throws a RangeError for more than there may be. */
function readScan(view: DataView, at: number, lowest: LowestBits): number {
  const count = view.getUint8(at + 4);
  if (count > MAX_SCAN_COMPONENTS) throw new RangeError('too many components in a scan');
  const behind = at + 5 + count * 2;
  const [from, to, lowBit] = [view.getUint8(behind), view.getUint8(behind + 1), view.getUint8(behind + 2) & 15];
  for (let index = 0; index < count; index += 1) {
    const component = view.getUint8(at + 5 + index * 2);
    const bits = lowest.get(component) ?? new Uint8Array(COEFFICIENTS).fill(NO_BIT);
    lowest.set(component, bits.fill(lowBit, from, to + 1));
  }
  return count;
}
