import sharp from 'sharp';

/** Deterministic pseudorandom numbers. Method: mulberry32. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** Returns an integer from 0 to below `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; at += 1) bytes[at] = this.below(256);
    return bytes;
  }
}

const SIDES = [2, 3, 5, 31, 32, 33, 64, 97, 200, 641, 1500];

/** Side of the pattern that is scaled to an image. */
const GRAIN = 6;

/** Creates a random valid image. */
export async function randomImage(random: Random): Promise<Buffer> {
  const width = random.pick(SIDES);
  const height = random.pick(SIDES);
  const channels = random.pick([3, 4] as const);
  const raw = { width: GRAIN, height: GRAIN, channels };
  const blotches = random.bytes(GRAIN * GRAIN * channels);
  const image = sharp(blotches, { raw }).resize(width, height, { fit: 'fill' });
  const format = random.pick(['jpeg', 'png', 'webp', 'gif', 'tiff'] as const);
  return image.toFormat(format).toBuffer();
}

/** Changes, removes, duplicates or randomizes some bytes of an image. */
export function damage(whole: Buffer, random: Random): Buffer {
  const bytes = Buffer.from(whole);
  const at = random.below(bytes.length);
  switch (random.below(5)) {
    case 0:
      for (let times = 0; times <= random.below(20); times += 1) bytes[random.below(bytes.length)] = random.below(256);
      return bytes;
    case 1:
      return bytes.subarray(0, at);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(random.below(at + 1))]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(random.below(2000))]);
    default:
      return Buffer.concat([bytes.subarray(0, 16), random.bytes(random.below(2000))]);
  }
}

const ALPHABETS: readonly (readonly [number, number])[] = [
  [0x20, 0x7f],
  [0, 0x20],
  [0xa0, 0x250],
  [0x300, 0x370],
  [0x590, 0x700],
  [0x900, 0xe80],
  [0x2000, 0x2070],
  [0x4e00, 0x5000],
  [0xac00, 0xad00],
  [0xd800, 0xe000],
  [0xfe00, 0x10000],
  [0x1f300, 0x1f700],
  [0xe0000, 0xe0080],
];

/** Creates a random text of many scripts, mostly short, sometimes a single long word. */
export function randomText(random: Random): string {
  const length = random.below(10) === 0 ? random.below(5000) : random.below(80);
  const [low, high] = random.pick(ALPHABETS);
  let text = '';
  for (let at = 0; at < length; at += 1) {
    const [from, to] = random.below(4) === 0 ? random.pick(ALPHABETS) : [low, high];
    text += random.below(7) === 0 ? ' ' : String.fromCodePoint(from + random.below(to - from));
  }
  return text;
}
