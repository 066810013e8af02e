import type { DecodedBlock } from './decoders/decoder.js';

/** Window over which channels are compared, aligned to the audio, independent of how it arrives. */
const WINDOW_SECONDS = 0.5;
/**
 * Thresholds, with hysteresis, for the power of the mean of n channels, times n, divided by the sum of their powers: 1 for
 * uncorrelated channels (and a single active one), n for equal ones, 0 if they cancel. Stereo of equal power reaches 0.2 at a
 * correlation of -0.8.
 */
const CANCEL_BELOW = 0.2;
const SOUND_ABOVE = 0.6;
/** Quieter windows (-60 dBFS) are not evaluated. */
const QUIET_POWER = 1e-6;
const FADE_SECONDS = 0.01;
/** Only every fourth sample is evaluated. */
const STRIDE = 4;

/** A mono part of the audio. */
export interface MonoBlock {
  readonly samples: Float32Array;
  readonly sampleRateHz: number;
  /** Time of the first sample; undefined: directly after the previous block. */
  readonly timestampSeconds: number | undefined;
}

/**
 * Mixes channels to mono: their mean, or the loudest channel where they cancel each other (one is the other inverted, a wiring
 * fault), which would lose the speech; `cancelled` reports that. NaN becomes silence; values out of range are clipped.
 */
export class Downmix {
  /** Blocks of the current window, cut to it. */
  #held: DecodedBlock[] = [];
  #heldSamples = 0;
  /** The channel used instead of the mean; undefined: the mean. */
  #alone: number | undefined;
  #cancelled = false;

  /** Whether channels cancelled somewhere. */
  get cancelled(): boolean {
    return this.#cancelled;
  }

  /** Adds a block and returns the completed windows. Mono audio is returned immediately. */
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

  /** Returns the incomplete last window. */
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
      // The first of the channels that are about as loud as the loudest.
      this.#alone = channels.findIndex((power) => power >= Math.max(...channels) / 2);
      this.#cancelled = true;
    }
  }
}

/** Powers of the channels and of their sum over every fourth sample of a window, independent of its blocks. */
class Powers {
  readonly channels: number[];
  together = 0;
  /** Number of samples seen. */
  samples = 0;
  #position = 0;

  constructor(channelCount: number) {
    this.channels = new Array<number>(channelCount).fill(0);
  }

  /** Adds a block and returns the mean of its channels. */
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

/** Returns the selected channel, or the mean. */
function pick(block: DecodedBlock, alone: number | undefined, mean: Float32Array | undefined): MonoBlock {
  const { channels, sampleRateHz, timestampSeconds } = block;
  const samples = (alone === undefined ? mean : channels[alone]?.slice()) ?? new Float32Array(0);
  return { samples: clip(samples), sampleRateHz, timestampSeconds };
}

/** Cross-fades from one mix to another; `done` samples of the window precede the block. */
function fade(before: MonoBlock, after: MonoBlock, done: number): void {
  const length = Math.round(FADE_SECONDS * after.sampleRateHz);
  for (let index = 0; index < Math.min(after.samples.length, length - done); index++) {
    const share = (done + index + 1) / (length + 1);
    after.samples[index] = share * (after.samples[index] ?? 0) + (1 - share) * (before.samples[index] ?? 0);
  }
}

/** Clips samples to -1 to 1 in place; returns the same array. */
export function clip(samples: Float32Array): Float32Array {
  for (let index = 0; index < samples.length; index++) {
    const sample = samples[index] ?? 0;
    if (sample >= -1 && sample <= 1) continue;
    samples[index] = sample > 1 ? 1 : sample < -1 ? -1 : 0;
  }
  return samples;
}
