import type { DecodedBlock } from './decoders/decoder.js';

/** Channels are compared over so long, at places that depend on the recording alone, not on how it arrives. */
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

/** A part of the recording as one channel. */
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

  /** What is whole windows now. A recording of one channel waits for none. */
  push(block: DecodedBlock): readonly MonoBlock[] {
    const { channels, sampleRateHz } = block;
    const length = channels[0]?.length ?? 0;
    const [held] = this.#held;
    const differs =
      held !== undefined && (held.channels.length !== channels.length || held.sampleRateHz !== sampleRateHz);
    const mono: MonoBlock[] = differs ? [...this.flush()] : [];
    if (channels.length === 1) return [...mono, mix(block, undefined)];
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
    const before = this.#alone;
    this.#decide(window);
    if (this.#alone === before) return window.map((block) => mix(block, before));
    return window.map((block, index) => (index === 0 ? fade(block, before, this.#alone) : mix(block, this.#alone)));
  }

  #decide(window: readonly DecodedBlock[]): void {
    const count = window[0]?.channels.length ?? 0;
    const powers = Array.from({ length: count }, (_, channel) =>
      window.reduce((sum, { channels }) => sum + powerOf(channels[channel]), 0),
    );
    const all = powers.reduce((sum, power) => sum + power, 0);
    const samples = window.reduce((sum, { channels }) => sum + (channels[0]?.length ?? 0), 0);
    if (!(all > QUIET_POWER * samples * count)) return;
    const together = window.reduce((sum, { channels }) => sum + powerOf(mean(channels)), 0);
    const kept = (together * count * count) / all;
    if (this.#alone !== undefined && kept > SOUND_ABOVE) this.#alone = undefined;
    if (this.#alone === undefined && kept < CANCEL_BELOW) {
      // Of channels about as loud as the loudest, the first.
      this.#alone = powers.findIndex((power) => power >= Math.max(...powers) / 2);
      this.#cancelled = true;
    }
  }
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

function mix({ channels, sampleRateHz, timestampSeconds }: DecodedBlock, alone: number | undefined): MonoBlock {
  const chosen = alone === undefined ? undefined : channels[alone];
  return { samples: chosen === undefined ? mean(channels) : clip(chosen.slice()), sampleRateHz, timestampSeconds };
}

/** From one way of mixing to another without a click. */
function fade(block: DecodedBlock, from: number | undefined, to: number | undefined): MonoBlock {
  const [before, after] = [mix(block, from).samples, mix(block, to)];
  const length = Math.min(after.samples.length, Math.round(FADE_SECONDS * block.sampleRateHz));
  for (let index = 0; index < length; index++) {
    const share = (index + 1) / (length + 1);
    after.samples[index] = share * (after.samples[index] ?? 0) + (1 - share) * (before[index] ?? 0);
  }
  return after;
}

function powerOf(samples: Float32Array | undefined): number {
  let sum = 0;
  for (const sample of samples ?? []) if (Number.isFinite(sample)) sum += sample * sample;
  return sum;
}

function mean(channels: readonly Float32Array[]): Float32Array {
  const length = channels[0]?.length ?? 0;
  const mono = new Float32Array(length);
  for (const channel of channels) {
    for (let index = 0; index < length; index++) mono[index] = (mono[index] ?? 0) + (channel[index] ?? 0);
  }
  const scale = 1 / Math.max(1, channels.length);
  for (let index = 0; index < length; index++) mono[index] = (mono[index] ?? 0) * scale;
  return clip(mono);
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
