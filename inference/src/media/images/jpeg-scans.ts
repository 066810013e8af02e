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

interface Scan {
  readonly components: readonly number[];
  /** First and last coefficient, and the lowest bit not included. */
  readonly from: number;
  readonly to: number;
  readonly lowBit: number;
}

const COEFFICIENTS = 64;
const START_OF_SCAN = 0xda;
const END_OF_IMAGE = 0xd9;

/**
 * Reads the headers of a JPEG's frame and of its scans, or undefined where there is neither. Layout: ITU-T T.81, sections
 * B.2.2 and B.2.3, and G.1.1 for progressive files.
 */
export function readJpegScans(content: Uint8Array): JpegScans | undefined {
  try {
    const { frame, scans } = readHeaders(content);
    const [first] = scans;
    if (frame === undefined || first === undefined) return undefined;
    const { blockWidth, blockHeight, components, progressive } = frame;
    const sequential = !progressive && first.components.length === components.length;
    return { blockWidth, blockHeight, sequential, complete: components.every((one) => isComplete(one, scans)) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return undefined;
  }
}

function readHeaders(content: Uint8Array): { frame: Frame | undefined; scans: readonly Scan[] } {
  const view = viewOf(content);
  const scans: Scan[] = [];
  let frame: Frame | undefined;
  let at = nextMarker(content, 2);
  while (at + 4 <= content.length && content[at + 1] !== END_OF_IMAGE) {
    const marker = view.getUint8(at + 1);
    const length = view.getUint16(at + 2);
    if (at + 2 + length > content.length) break;
    if (isFrame(marker)) frame = readFrame(view, at, marker);
    if (marker === START_OF_SCAN) scans.push(readScan(view, at));
    at = nextMarker(content, at + 2 + length);
  }
  return { frame, scans };
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

function readScan(view: DataView, at: number): Scan {
  const count = view.getUint8(at + 4);
  const components = Array.from({ length: count }, (_, index) => view.getUint8(at + 5 + index * 2));
  const behind = at + 5 + count * 2;
  return {
    components,
    from: view.getUint8(behind),
    to: view.getUint8(behind + 1),
    lowBit: view.getUint8(behind + 2) & 15,
  };
}

function isComplete(component: number, scans: readonly Scan[]): boolean {
  const lowest = new Uint8Array(COEFFICIENTS).fill(16);
  for (const { components, from, to, lowBit } of scans) {
    if (!components.includes(component)) continue;
    for (let index = from; index <= to && index < COEFFICIENTS; index += 1) lowest[index] = lowBit;
  }
  return lowest.every((bit) => bit === 0);
}
