import type { AlacConfig } from './alac-config.js';
import { type AlacPredictor, predict } from './alac-predictor.js';
import { readResiduals } from './alac-rice.js';
import { BitReader } from './bit-reader.js';

/** Element types, as in AAC. */
const DATA = 4;
const FILL = 6;
const END = 7;
/** Channels of the others that may occur: one, two, and low frequencies. */
const CHANNEL_COUNTS: Readonly<Record<number, number>> = { 0: 1, 1: 2, 3: 1 };

const SAMPLE_BITS_MAX = 32;

/**
 * Decodes the channels of a packet to integers of the configured bit depth (Apple's ALACDecoder.cpp). Missing channels are
 * silent. Undefined if the packet is damaged.
 */
export function decodeAlacPacket(data: Uint8Array, config: AlacConfig): readonly Int32Array[] | undefined {
  const bits = new BitReader(data);
  const channels: Int32Array[] = [];
  while (channels.length < config.channelCount && bits.leftBits >= 3) {
    const kind = bits.read(3);
    const count = CHANNEL_COUNTS[kind] ?? 0;
    if (kind === END || channels.length + count > config.channelCount) break;
    const decoded = readElement(bits, kind, count, config);
    if (decoded === undefined || bits.exhausted) return undefined;
    channels.push(...decoded);
  }
  const [first] = channels;
  if (first === undefined || channels.some(({ length }) => length !== first.length)) return undefined;
  while (channels.length < config.channelCount) channels.push(new Int32Array(first.length));
  return channels;
}

/** The channels of an element: none of what is skipped. Undefined if it is damaged. */
function readElement(bits: BitReader, kind: number, count: number, config: AlacConfig): Int32Array[] | undefined {
  if (kind === DATA) return skipData(bits);
  if (kind === FILL) return skipFill(bits);
  if (count === 0) return undefined;
  bits.read(4);
  const unused = bits.read(12);
  const isPartial = bits.read(1) === 1;
  const lowBits = 8 * bits.read(2);
  const isPlain = bits.read(1) === 1;
  const length = isPartial ? bits.read(32) : config.frameLength;
  if (unused !== 0 || lowBits >= config.bitDepth || length < 1 || length > config.frameLength) return undefined;
  return isPlain ? readPlain(bits, count, length, config) : readCoded(bits, count, length, lowBits, config);
}

function readPlain(bits: BitReader, count: number, length: number, { bitDepth }: AlacConfig): Int32Array[] | undefined {
  if (bits.leftBits < count * length * bitDepth) return undefined;
  const channels = Array.from({ length: count }, () => new Int32Array(length));
  for (let at = 0; at < length; at++) for (const channel of channels) channel[at] = bits.readSigned(bitDepth);
  return channels;
}

function readCoded(
  bits: BitReader,
  count: number,
  length: number,
  lowBits: number,
  config: AlacConfig,
): Int32Array[] | undefined {
  // The difference of two channels needs one bit more.
  const sampleBits = config.bitDepth - lowBits + count - 1;
  if (sampleBits > SAMPLE_BITS_MAX) return undefined;
  const mixBits = bits.read(8);
  const mixFactor = bits.readSigned(8);
  const predictors = Array.from({ length: count }, () => readPredictor(bits));
  const low = new BitReader(bits.bytes, bits.position);
  bits.position += lowBits * count * length;
  if (bits.exhausted) return undefined;
  const channels: Int32Array[] = [];
  for (const predictor of predictors) {
    const multiplier = Math.floor((config.historyMultiplier * predictor.multiplierQuarters) / 4);
    const values = readResiduals(bits, length, sampleBits, multiplier, config);
    if (values === undefined) return undefined;
    predict(values, sampleBits, predictor);
    channels.push(values);
  }
  if (mixFactor !== 0) unmix(channels, mixBits, mixFactor);
  // Keeps the samples of a damaged packet in range.
  const wrap = 32 - config.bitDepth;
  for (let at = 0; at < length; at++) {
    for (const channel of channels) {
      const value = ((channel[at] ?? 0) << lowBits) | low.read(lowBits);
      channel[at] = (value << wrap) >> wrap;
    }
  }
  return channels;
}

function readPredictor(bits: BitReader): AlacPredictor {
  const mode = bits.read(4);
  const shift = bits.read(4);
  const multiplierQuarters = bits.read(3);
  const factors = new Int16Array(bits.read(5));
  for (let index = 0; index < factors.length; index++) factors[index] = bits.readSigned(16);
  return { mode, shift, multiplierQuarters, factors };
}

/** Converts weighted mean and difference to left and right, in place (Apple's matrix_dec.c). */
function unmix([mean, difference]: readonly Int32Array[], mixBits: number, mixFactor: number): void {
  if (mean === undefined || difference === undefined) return;
  for (let at = 0; at < mean.length; at++) {
    const apart = difference[at] ?? 0;
    const left = (mean[at] ?? 0) + apart - (Math.imul(mixFactor, apart) >> mixBits);
    mean[at] = left;
    difference[at] = left - apart;
  }
}

function skipData(bits: BitReader): [] {
  bits.read(4);
  const isAligned = bits.read(1) === 1;
  let count = bits.read(8);
  if (count === 255) count += bits.read(8);
  if (isAligned) bits.position = 8 * Math.ceil(bits.position / 8);
  bits.position += 8 * count;
  return [];
}

function skipFill(bits: BitReader): [] {
  let count = bits.read(4);
  if (count === 15) count += bits.read(8) - 1;
  bits.position += 8 * count;
  return [];
}
