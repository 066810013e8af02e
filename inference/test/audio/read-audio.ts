import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import type { InferenceError } from '../../src/errors.js';
import { type AudioTrackInfo, type OpenAudioOptions, openAudio } from '../../src/media/audio/index.js';
import { errorOf } from '../support/rejection.js';
import { joined } from '../support/speech.js';

/** Fixtures of compressed formats, to damage. */
export const COMPRESSED = [
  'speech-48k-mono.flac.ogg',
  'speech-44k-stereo.mp3',
  'speech-48k-stereo.vorbis.ogg',
  'speech-48k-stereo.opus',
  'speech-48k-mono-faststart.m4a',
  'speech-44k-stereo.m4a',
];

type Content = Uint8Array | AsyncIterable<Uint8Array>;

export interface Transcribed {
  readonly samples: Float32Array;
  readonly warnings: readonly string[];
  readonly track: AudioTrackInfo | undefined;
}

/** Opens an audio file, by default with high limits. */
export function open(content: Content, options: Partial<OpenAudioOptions> = {}) {
  return openAudio(content, { maxSeconds: 3_600, signal: new AbortController().signal, ...options });
}

/** Reads an audio file to its end and closes it. */
export async function transcribe(content: Content, options: Partial<OpenAudioOptions> = {}): Promise<Transcribed> {
  const source = await open(content, options);
  try {
    const blocks: Float32Array[] = [];
    for (let block = await source.read(48_000); block !== null; block = await source.read(48_000)) blocks.push(block);
    return { samples: joined(blocks), warnings: source.warnings, track: source.track };
  } finally {
    await source.close();
  }
}

/** Expects the same result, to the bit. Chai takes a hundred times longer to compare samples. */
export function expectSame(one: Transcribed, other: Transcribed, what?: string): void {
  expect(Buffer.from(one.samples.buffer).equals(Buffer.from(other.samples.buffer)), what).to.equal(true);
  expect(one.warnings, what).to.deep.equal(other.warnings);
  expect(one.track, what).to.deep.equal(other.track);
}

/** Returns the error of opening or reading an audio file. */
export async function refusal(content: Content, options: Partial<OpenAudioOptions> = {}): Promise<InferenceError> {
  return errorOf(transcribe(content, options));
}

/** Yields the bytes in parts of `size`. */
export async function* inParts(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += size) yield bytes.subarray(offset, offset + size);
}

export const fixture = (name: string): Promise<Uint8Array> => fromRoot(`inference/test/audio/fixtures/${name}`);

/** Reads a file of the cases. */
export const caseOf = (name: string): Promise<Uint8Array> => fromRoot(`inference/test/audio/cases/${name}`);

let hasFfmpeg: boolean | undefined;

/** Skips the test, or the tests below the hook, where ffmpeg is not installed. */
export function needsFfmpeg(test: Mocha.Context): void {
  hasFfmpeg ??= spawnSync('ffmpeg', ['-version']).status === 0;
  if (hasFfmpeg) return;
  console.log('      skipped: ffmpeg is not installed');
  test.skip();
}

/** An APEv2 tag with a cover image of that many bytes, as Mutagen writes it. */
export function apeTag(coverBytes: number): Buffer {
  const cover = Buffer.concat([Buffer.alloc(8), Buffer.from('Cover\0'), Buffer.alloc(coverBytes, 0x55)]);
  cover.writeUInt32LE(coverBytes);
  const header = Buffer.from('APETAGEX'.padEnd(32, '\0'));
  for (const [index, value] of [2_000, cover.length + 32, 1, 0xa000_0000].entries())
    header.writeUInt32LE(value, 8 + 4 * index);
  const footer = Buffer.from(header).fill(0x80, 23, 24);
  return Buffer.concat([header, cover, footer]);
}

/** Reads a file of the repository, by its path from the root. */
export async function fromRoot(path: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(new URL(`../../../../${path}`, import.meta.url)));
}

/** Samples averaged for the first search of `alike`. */
const COARSE = 8;

/**
 * Returns the maximum correlation of two audio files over shifts of up to `maxShift` samples in both directions. Long searches are made on
 * means of a few samples first, and at full rate around what they found.
 */
export function alike(first: Float32Array, second: Float32Array, maxShift: number): { value: number; shift: number } {
  if (maxShift <= 4 * COARSE) return bestShift(first, second, -maxShift, maxShift);
  const coarse = bestShift(means(first), means(second), -Math.floor(maxShift / COARSE), Math.floor(maxShift / COARSE));
  const around = coarse.shift * COARSE;
  return bestShift(first, second, Math.max(-maxShift, around - COARSE), Math.min(maxShift, around + COARSE));
}

function bestShift(first: Float32Array, second: Float32Array, from: number, to: number) {
  let best = { value: -1, shift: 0 };
  for (let shift = from; shift <= to; shift++) {
    const value = correlation(first, second, shift);
    if (value > best.value) best = { value, shift };
  }
  return best;
}

function means(samples: Float32Array): Float32Array {
  const length = Math.floor(samples.length / COARSE);
  return Float32Array.from({ length }, (_, at) => {
    let sum = 0;
    for (let index = at * COARSE; index < (at + 1) * COARSE; index++) sum += samples[index] ?? 0;
    return sum / COARSE;
  });
}

function correlation(first: Float32Array, second: Float32Array, shift: number): number {
  let both = 0;
  let one = 0;
  let other = 0;
  for (let index = Math.max(0, -shift); index < Math.min(first.length, second.length - shift); index++) {
    const a = first[index] ?? 0;
    const b = second[index + shift] ?? 0;
    both += a * b;
    one += a * a;
    other += b * b;
  }
  return one === 0 || other === 0 ? 0 : both / Math.sqrt(one * other);
}
