import { orNothing, viewOf } from '../bytes.js';

/** How a JPEG stores its blocks, from its headers. */
export interface JpegScans {
  /** Size of a block (MCU): everything stored together. */
  readonly blockWidth: number;
  readonly blockHeight: number;
  /** 1 for grey, 3 for colour, 4 for inks. */
  readonly components: number;
  /** All components in one scan, one pass: blocks are stored in display order. */
  readonly sequential: boolean;
  /** Whether scans for all details of all components have begun. */
  readonly complete: boolean;
  /** Whether there is an end marker. */
  readonly ended: boolean;
  readonly restarts: RestartMarkers;
}

/** The restart markers of all scans, between which a few blocks each are stored. Without any, none is missing. */
export interface RestartMarkers {
  readonly any: boolean;
  /** Whether each scan's are numbered 0 to 7 over and over, so that no fewer than eight can be missing between two. */
  readonly inOrder: boolean;
  /** Of the scan that lacks most of them: the part that is missing, 0 to 1. */
  readonly missing: number;
}

interface Frame {
  readonly blockWidth: number;
  readonly blockHeight: number;
  readonly components: readonly number[];
  /** Number of blocks in a scan by its only component, and in one of several components at ALL. */
  readonly blocks: ReadonlyMap<number, number>;
  readonly progressive: boolean;
}

/** By component, the lowest bit of each coefficient that scans have begun with so far. */
type LowestBits = Map<number, Uint8Array>;

const COEFFICIENTS = 64;
/** More than any lowest bit: not in a scan yet. */
const NO_BIT = 16;
const MAX_SCAN_COMPONENTS = 4;
const START_OF_SCAN = 0xda;
const RESTART_INTERVAL = 0xdd;
const END_OF_IMAGE = 0xd9;
/** The only marker in front of a scan, besides those of restarts, that no length follows. */
const TEMPORARY = 0x01;
/** Frames that the web's decoders do not read: T.81, table B.1; T.87. */
const UNUSUAL_KINDS: ReadonlyMap<number, string> = new Map([
  [0xf7, 'a JPEG-LS image'],
  ...[0xc3, 0xcb].map((marker) => [marker, 'a lossless JPEG image'] as const),
  ...[0xc5, 0xc6, 0xc7, 0xcd, 0xce, 0xcf, 0xde].map((marker) => [marker, 'a hierarchical JPEG image'] as const),
]);
/** Key of Frame.blocks that is no component's. */
const ALL = -1;

/**
 * Reads the headers of a JPEG's frame and of its scans, or undefined where there is neither. Layout: ITU-T T.81, sections
 * B.2.2 and B.2.3, and G.1.1 for progressive files.
 */
export function readJpegScans(content: Uint8Array): JpegScans | undefined {
  return orNothing(() => {
    const { frame, first, lowest, restarts, ended } = readHeaders(content);
    if (frame === undefined || first === undefined) return undefined;
    const { blockWidth, blockHeight, components, progressive } = frame;
    const complete = components.every((component) => lowest.get(component)?.every((bit) => bit === 0) === true);
    return {
      blockWidth,
      blockHeight,
      components: components.length,
      sequential: !progressive && first === components.length,
      complete,
      restarts,
      ended,
    };
  });
}

/** The kind of a JPEG other than those of the web, for a message; undefined for those, and where no frame is found. */
export function unusualJpeg(content: Uint8Array): string | undefined {
  for (let at = nextMarker(content, 2); at + 5 <= content.length; at = nextSegment(content, at)) {
    const marker = content[at + 1] ?? 0;
    const kind = UNUSUAL_KINDS.get(marker);
    if (kind !== undefined) return kind;
    if (isFrame(marker)) return unusualFrame(content, at);
    if (marker === START_OF_SCAN) return undefined;
  }
  return undefined;
}

function unusualFrame(content: Uint8Array, at: number): string | undefined {
  const bits = content[at + 4] ?? 0;
  if (at + 7 <= content.length && viewOf(content).getUint16(at + 5) === 0)
    return 'a JPEG image whose height is named behind its pixels (DNL)';
  return bits > 8 && bits <= 16 ? `a JPEG image of ${bits} bits a sample` : undefined;
}

/** The part in front of a JPEG's pixels, in which all that is read about them lies. Behind them other images may follow, as of a burst. */
export function beforePixels(content: Uint8Array): Uint8Array {
  let at = nextMarker(content, 2);
  while (at + 4 <= content.length && content[at + 1] !== START_OF_SCAN) at = nextSegment(content, at);
  return content.subarray(0, at);
}

function nextSegment(content: Uint8Array, at: number): number {
  return nextMarker(content, at + 2 + (content[at + 1] === TEMPORARY ? 0 : viewOf(content).getUint16(at + 2)));
}

/** The frame, the number of the first scan's components, and the bits of all scans: a hostile file has millions of these. */
function readHeaders(content: Uint8Array) {
  const view = viewOf(content);
  const lowest: LowestBits = new Map();
  let frame: Frame | undefined;
  let first: number | undefined;
  let interval = 0;
  let restarts: RestartMarkers = { any: false, inOrder: true, missing: 0 };
  let at = nextMarker(content, 2);
  while (at + 4 <= content.length && content[at + 1] !== END_OF_IMAGE) {
    const marker = view.getUint8(at + 1);
    const length = view.getUint16(at + 2);
    if (at + 2 + length > content.length) break;
    if (isFrame(marker)) frame ??= readFrame(view, at, marker);
    if (marker === RESTART_INTERVAL) interval = view.getUint16(at + 4);
    const next = nextMarker(content, at + 2 + length);
    if (marker === START_OF_SCAN) {
      const count = readScan(view, at, lowest);
      first ??= count;
      const blocks = frame?.blocks.get(count === 1 ? view.getUint8(at + 5) : ALL) ?? 0;
      const data = content.subarray(at + 2 + length, next);
      restarts = withScan(restarts, data, interval === 0 ? undefined : blocks / interval);
    }
    at = next;
  }
  return { frame, first, lowest, restarts, ended: content[at + 1] === END_OF_IMAGE };
}

/**
 * Where the data of scans ends, and between restart markers: before the markers behind it and their fill bytes FF. At most `max` places in
 * their order, those of scans rather than others.
 */
export function dataEnds(content: Uint8Array, max: number): readonly number[] {
  const scans: number[] = [];
  const restarts: number[] = [];
  const view = viewOf(content);
  let at = nextMarker(content, 2);
  while (at + 4 <= content.length && content[at + 1] !== END_OF_IMAGE && scans.length < max) {
    const isScan = content[at + 1] === START_OF_SCAN;
    const from = at + 2 + view.getUint16(at + 2);
    at = nextMarker(content, from);
    if (!isScan) continue;
    scans.push(beforeFill(content, at));
    for (let ff = content.indexOf(0xff, from); ff >= 0 && ff < at; ff = content.indexOf(0xff, ff + 1)) {
      if (restarts.length < max && isRestart(content[ff + 1] ?? 0)) restarts.push(beforeFill(content, ff));
    }
  }
  return [...scans, ...restarts].slice(0, max).sort((one, other) => one - other);
}

function beforeFill(content: Uint8Array, marker: number): number {
  let at = marker;
  while (content[at - 1] === 0xff) at -= 1;
  return at;
}

function isRestart(marker: number): boolean {
  return marker >= 0xd0 && marker <= 0xd7;
}

/** Entropy-coded data follows a scan's header; FF in it is followed by 00 or a restart marker. */
function nextMarker(content: Uint8Array, from: number): number {
  for (let at = content.indexOf(0xff, from); at >= 0; at = content.indexOf(0xff, at + 1)) {
    const marker = content[at + 1] ?? 0;
    if (marker !== 0 && marker !== 0xff && !isRestart(marker)) return at;
  }
  return content.length;
}

/** Adds the markers of a scan's data, in which there are `intervals`: a marker between two, and at most one behind the last. */
function withScan(before: RestartMarkers, data: Uint8Array, intervals: number | undefined): RestartMarkers {
  const expected = Math.ceil(intervals ?? 1) - 1;
  let [found, inOrder] = [0, before.inOrder];
  for (let at = data.indexOf(0xff); at >= 0; at = data.indexOf(0xff, at + 1)) {
    const marker = data[at + 1] ?? 0;
    if (!isRestart(marker)) continue;
    inOrder &&= found <= expected && marker === 0xd0 + (found & 7);
    found += 1;
  }
  const missing = expected > found ? (expected - found) / (expected + 1) : 0;
  return { any: before.any || intervals !== undefined, inOrder, missing: Math.max(before.missing, missing) };
}

function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

function readFrame(view: DataView, at: number, marker: number): Frame {
  const components = Array.from({ length: view.getUint8(at + 9) }, (_, index) => {
    const factors = view.getUint8(at + 11 + index * 3);
    return { id: view.getUint8(at + 10 + index * 3), across: factors >> 4, down: factors & 15 };
  });
  let across = Math.max(1, ...components.map((component) => component.across));
  let down = Math.max(1, ...components.map((component) => component.down));
  const [height, width] = [view.getUint16(at + 5), view.getUint16(at + 7)];
  const blocksOf = (own: { readonly across: number; readonly down: number }): number =>
    Math.ceil((width * own.across) / (across * 8)) * Math.ceil((height * own.down) / (down * 8));
  const blocks = new Map(components.map((component) => [component.id, blocksOf(component)]));
  blocks.set(ALL, blocksOf({ across: 1, down: 1 }));
  // A scan of one component has 8 x 8 blocks, whatever its sampling.
  if (components.length === 1) [across, down] = [1, 1];
  const progressive = marker === 0xc2 || marker === 0xc6 || marker === 0xca || marker === 0xce;
  const ids = components.map(({ id }) => id);
  return { blockWidth: across * 8, blockHeight: down * 8, components: ids, blocks, progressive };
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
