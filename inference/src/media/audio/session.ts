import type { DecodedBlock, Decoder } from './decoders/decoder.js';
import { clip, mixToMono } from './mono.js';
import { SPEECH_SAMPLE_RATE_HZ } from './pcm.js';
import { Resampler } from './resampler.js';
import { SampleQueue } from './sample-queue.js';
import { undecodable } from './undecodable.js';

/** One exchange with a decoder, wherever it runs. */
export interface DecodeRequest {
  /** What follows in the content. Sent when the last answer wanted it. */
  readonly input: Uint8Array | undefined;
  /** Nothing follows `input`. */
  readonly ended: boolean;
  /** How many samples are wanted now. */
  readonly maxSamples: number;
}

export interface DecodeAnswer {
  /** Mono at 16 kHz. */
  readonly samples: Float32Array;
  /** The decoder has used up its input and needs more to go on. */
  readonly wantsInput: boolean;
  /** Nothing follows `samples`. */
  readonly done: boolean;
  readonly declaredSeconds: number | undefined;
  readonly warnings: readonly string[];
}

/** Decodes, mixes and resamples one recording as it is asked to. */
export class DecodeSession {
  readonly #decoder: Decoder;
  readonly #ready = new SampleQueue();
  readonly #warnings: string[] = [];
  #input: Uint8Array = new Uint8Array(0);
  #resampler: Resampler | undefined;
  #madeSamples = 0;
  #finished = false;
  #done = false;

  constructor(decoder: Decoder) {
    this.#decoder = decoder;
  }

  /**
   * Rejects with AUDIO_UNREADABLE where nothing at all could be decoded. Where something was, damage ends the recording
   * there, with a warning.
   */
  async pull(request: DecodeRequest): Promise<DecodeAnswer> {
    if (request.input !== undefined) this.#input = request.input;
    try {
      await this.#decode(request);
    } catch (error) {
      if (this.#madeSamples === 0) throw undecodable(error);
      this.#warnings.push(`The recording is damaged after ${this.#seconds()} s and was read up to there.`);
      this.#endResampler();
      this.#done = true;
    }
    const samples = this.#ready.take(request.maxSamples);
    return {
      samples,
      wantsInput: this.#input.length === 0,
      done: this.#done && this.#ready.length === 0,
      // A header is believed only of what turned out to be a recording.
      declaredSeconds: this.#madeSamples > 0 ? this.#decoder.declaredSeconds : undefined,
      warnings: [...this.#decoder.warnings, ...this.#warnings],
    };
  }

  close(): void {
    this.#decoder.close();
    this.#resampler?.close();
  }

  async #decode(request: DecodeRequest): Promise<void> {
    while (!this.#done && this.#ready.length < request.maxSamples) {
      if (this.#decoder.hasMore === true) {
        await this.#take((await this.#decoder.more?.()) ?? []);
      } else if (this.#finished) {
        this.#endResampler();
        this.#done = true;
      } else if (this.#input.length > 0 && !this.#decoder.finished) {
        const piece = this.#input.subarray(0, this.#decoder.pieceBytes);
        this.#input = this.#input.subarray(piece.length);
        await this.#take(await this.#decoder.push(piece));
      } else if (request.ended || this.#decoder.finished) {
        this.#finished = true;
        await this.#take(await this.#decoder.finish());
      } else {
        return;
      }
    }
  }

  async #take(blocks: readonly DecodedBlock[]): Promise<void> {
    for (const block of blocks) {
      const mono = mixToMono(block);
      this.#put(await this.#resample(mono, block.sampleRateHz));
    }
  }

  async #resample(mono: Float32Array, rateHz: number): Promise<Float32Array> {
    if (this.#resampler !== undefined && this.#resampler.rateHz !== rateHz) this.#endResampler();
    if (rateHz === SPEECH_SAMPLE_RATE_HZ) return mono;
    this.#resampler ??= await Resampler.create(rateHz);
    return clip(this.#resampler.push(mono));
  }

  #endResampler(): void {
    if (this.#resampler === undefined) return;
    this.#put(clip(this.#resampler.flush()));
    this.#resampler.close();
    this.#resampler = undefined;
  }

  #put(samples: Float32Array): void {
    this.#madeSamples += samples.length;
    this.#ready.put(samples);
  }

  #seconds(): string {
    return (this.#madeSamples / SPEECH_SAMPLE_RATE_HZ).toFixed(2);
  }
}
