import type { DecodedBlock } from './decoders/decoder.js';

/** Channels are compared over so long, at places that depend on the audio alone, not on how it arrives. */
const WINDOW_SECONDS = 0.5;
/**
 * Power of the mean of n channels, times n, over the sum of their powers: 1 for channels that have nothing in common (and for
 * one that sounds alone), n for equal ones, 0 where they cancel. Below the first they are taken to cancel, above the second
 * no longer. Stereo of equal power reaches 0.2 at a correlation of -0.8.
 */
const CANCEL_BELOW = 0.2;
const SOUND_ABOVE = 0.6;
/** Quieter windows (-60 dB of full scale) say nothing. */
const QUIET_POWER = 1e-6;
const FADE_SECONDS = 0.01;
/** Of the samples, each of this many is looked at. */
const STRIDE = 4;

/** A part of the audio as one channel. */
export interface MonoBlock {
  readonly samples: Float32Array;
  readonly sampleRateHz: number;
  /** Of the first sample; undefined: right after what came before. */
  readonly timestampSeconds: number | undefined;
}

/**
 * One channel of several: their mean. Where they cancel each other (one is the other inverted, as wrong wiring makes it), the
 * loudest instead, so that speech is not lost; `cancelled` says that it happened. What is not a number becomes silence and
 * what is out of range is clipped.
 */
export class Downmix {
  /** Blocks of one window, cut to it. */
  #held: DecodedBlock[] = [];
  #heldSamples = 0;
  /** The channel that stands for all; undefined: their mean. */
  #alone: number | undefined;
  #cancelled = false;

  /** Channels were found to cancel. */
  get cancelled(): boolean {
    return this.#cancelled;
  }

  /** What is whole windows now. An audio file of one channel waits for none. */
  push(block: DecodedBlock): readonly MonoBlock[] {
    const { channels, sampleRateHz } = block;
    const length = channels[0]?.length ?? 0;
    const [held] = this.#held;
    const differs =
      held !== undefined && (held.channels.length !== channels.length || held.sampleRateHz !== sampleRateHz);
    const mono: MonoBlock[] = differs ? [...this.flush()] : [];
    if (channels.length === 1) return [...mono, pick(block, 0, undefined)];
    const windowSamples = Math.round(WINDOW_SECONDS * sampleRateHz);
    for (let from = 0; from < length; ) {
      const to = Math.min(length, from + windowSamples - this.#heldSamples);
      this.#held.push(part(block, from, to));
      this.#heldSamples += to - from;
      from = to;
      if (this.#heldSamples >= windowSamples) mono.push(...this.flush());
    }
    return mono;
  }

  /** The window that is not whole. Called where nothing follows. */
  flush(): readonly MonoBlock[] {
    const window = this.#held;
    this.#held = [];
    this.#heldSamples = 0;
    const powers = new Powers(window[0]?.channels.length ?? 0);
    const means = window.map(({ channels }) => powers.addMean(channels));
    const before = this.#alone;
    this.#decide(powers);
    let done = 0;
    return window.map((block, index) => {
      const mono = pick(block, this.#alone, means[index]);
      if (this.#alone !== before) fade(pick(block, before, means[index]), mono, done);
      done += mono.samples.length;
      return mono;
    });
  }

  #decide({ channels, together, samples }: Powers): void {
    const all = channels.reduce((sum, power) => sum + power, 0);
    if (!(all > QUIET_POWER * samples * channels.length)) return;
    const kept = together / all;
    if (this.#alone !== undefined && kept > SOUND_ABOVE) this.#alone = undefined;
    if (this.#alone === undefined && kept < CANCEL_BELOW) {
      // Of channels about as loud as the loudest, the first.
      this.#alone = channels.findIndex((power) => power >= Math.max(...channels) / 2);
      this.#cancelled = true;
    }
  }
}

/** Powers of channels and of their sum, by every fourth sample of a window wherever it was cut. */
class Powers {
  readonly channels: number[];
  together = 0;
  /** How many were looked at. */
  samples = 0;
  #position = 0;

  constructor(channelCount: number) {
    this.channels = new Array<number>(channelCount).fill(0);
  }

  /** Gives back the mean of the channels. */
  addMean(channels: readonly Float32Array[]): Float32Array {
    const sums = sumOf(channels);
    const first = (STRIDE - (this.#position % STRIDE)) % STRIDE;
    for (let index = first; index < sums.length; index += STRIDE) {
      this.together += (sums[index] ?? 0) ** 2;
      this.samples += 1;
    }
    for (const [channel, samples] of channels.entries()) {
      let power = this.channels[channel] ?? 0;
      for (let index = first; index < sums.length; index += STRIDE) power += (samples[index] ?? 0) ** 2;
      this.channels[channel] = power;
    }
    this.#position += sums.length;
    const scale = 1 / Math.max(1, channels.length);
    for (let index = 0; index < sums.length; index++) sums[index] = (sums[index] ?? 0) * scale;
    return sums;
  }
}

function sumOf([first = new Float32Array(0), ...others]: readonly Float32Array[]): Float32Array {
  const sums = first.slice();
  for (const samples of others) {
    for (let index = 0; index < sums.length; index++) sums[index] = (sums[index] ?? 0) + (samples[index] ?? 0);
  }
  return sums;
}

function part(block: DecodedBlock, from: number, to: number): DecodedBlock {
  if (from === 0 && to === block.channels[0]?.length) return block;
  const { channels, sampleRateHz, timestampSeconds } = block;
  return {
    channels: channels.map((samples) => samples.subarray(from, to)),
    sampleRateHz,
    timestampSeconds: timestampSeconds === undefined ? undefined : timestampSeconds + from / sampleRateHz,
  };
}

/** One channel, or the mean of all where none stands for them. */
function pick(block: DecodedBlock, alone: number | undefined, mean: Float32Array | undefined): MonoBlock {
  const { channels, sampleRateHz, timestampSeconds } = block;
  const samples = (alone === undefined ? mean : channels[alone]?.slice()) ?? new Float32Array(0);
  return { samples: clip(samples), sampleRateHz, timestampSeconds };
}

/** From one way of mixing to another without a click; `done` samples of the window came before. */
function fade(before: MonoBlock, after: MonoBlock, done: number): void {
  const length = Math.round(FADE_SECONDS * after.sampleRateHz);
  for (let index = 0; index < Math.min(after.samples.length, length - done); index++) {
    const share = (done + index + 1) / (length + 1);
    after.samples[index] = share * (after.samples[index] ?? 0) + (1 - share) * (before.samples[index] ?? 0);
  }
}

/** Brings samples to -1 to 1 where they are; gives back the same array. */
export function clip(samples: Float32Array): Float32Array {
  for (let index = 0; index < samples.length; index++) {
    const sample = samples[index] ?? 0;
    if (sample >= -1 && sample <= 1) continue;
    samples[index] = sample > 1 ? 1 : sample < -1 ? -1 : 0;
  }
  return samples;
}
