import { InferenceError } from '../../errors.js';
import type { DecodedBlock, Decoder } from './decoders/decoder.js';
import { clip, Downmix, type MonoBlock } from './downmix.js';
import type { AudioTrackInfo } from './formats.js';
import { SPEECH_SAMPLE_RATE_HZ } from './pcm.js';
import { Resampler } from './resampler.js';
import { SampleQueue } from './sample-queue.js';
import { type Placement, Timeline } from './timeline.js';
import { isRefusal, undecodable } from './undecodable.js';

/** Maximum silence per block, for gaps of any length. */
const SILENCE_SECONDS = 1;

/** A request to a decoder, in a thread or inline. */
export interface DecodeRequest {
  /** The next bytes of the content. Sent if the last answer had `wantsInput`. */
  readonly input: Uint8Array | undefined;
  /** `input` is the last. */
  readonly ended: boolean;
  /** Maximum number of samples in the answer. */
  readonly maxSamples: number;
}

export interface DecodeAnswer {
  /** Mono at 16 kHz. */
  readonly samples: Float32Array;
  /** The decoder has consumed its input and needs more. */
  readonly wantsInput: boolean;
  /** `samples` are the last. */
  readonly done: boolean;
  /** A library threw: what it left behind is unknown. */
  readonly failed: boolean;
  readonly declaredSeconds: number | undefined;
  readonly warnings: readonly string[];
  readonly track: AudioTrackInfo | undefined;
  /** Maximum consecutive bytes without a sample; undefined: the reader's default. */
  readonly silentBytesMax: number | undefined;
}

/** A session, in a thread or inline. */
export interface DecoderHost {
  /** Requests samples. Must not be called again before it settles. */
  pull(request: DecodeRequest): Promise<DecodeAnswer>;
  /** Closes the decoder; a pending `pull` rejects. Idempotent. */
  close(): Promise<void>;
}

interface PlacedBlock extends Placement {
  readonly sampleRateHz: number;
}

/** Decodes, mixes and resamples one audio file on demand, and fills gaps in its timestamps with silence. */
export class DecodeSession {
  readonly #ready = new SampleQueue();
  readonly #warnings: string[] = [];
  readonly #downmix = new Downmix();
  readonly #timeline = new Timeline();
  /** Mixed blocks that are not output yet. */
  #mixed: MonoBlock[] = [];
  #placed: PlacedBlock | undefined;
  #input: Uint8Array = new Uint8Array(0);
  #resampler: Resampler | undefined;
  #outputSamples = 0;
  #ended = false;
  #finished = false;
  #flushed = false;
  #done = false;
  #failed = false;

  constructor(private readonly decoder: Decoder) {}

  /**
   * Returns the next samples. Rejects with AUDIO_UNREADABLE if nothing could be decoded. Otherwise damage ends the audio with a
   * warning.
   */
  async pull(request: DecodeRequest): Promise<DecodeAnswer> {
    if (request.input !== undefined) this.#input = request.input;
    try {
      await this.#decode(request);
    } catch (error) {
      this.#failed = !isRefusal(error);
      this.#flush();
      while (this.#placed !== undefined || this.#mixed.length > 0) await this.#putNext();
      if (this.#outputSamples === 0) throw undecodable(error);
      const reason = error instanceof InferenceError ? ` ${error.message}` : '';
      this.#warnings.push(`The audio is damaged after ${this.#seconds()} s and was read up to that point.${reason}`);
      this.#endResampler();
      this.#done = true;
    }
    const samples = this.#ready.take(request.maxSamples);
    return {
      samples,
      wantsInput: this.#input.length === 0,
      done: this.#done && this.#ready.length === 0,
      failed: this.#failed,
      // The header is trusted only once samples were decoded.
      declaredSeconds: this.#outputSamples > 0 ? this.decoder.declaredSeconds : undefined,
      warnings: this.#allWarnings(),
      track: this.decoder.track,
      silentBytesMax: this.decoder.silentBytesMax,
    };
  }

  close(): void {
    this.decoder.close();
    this.#resampler?.close();
  }

  #allWarnings(): readonly string[] {
    const cancelled = this.#downmix.cancelled
      ? ['The channels cancel each other (one is the other inverted); where they do, only the loudest was used.']
      : [];
    return [...this.decoder.warnings, ...this.#timeline.warnings, ...cancelled, ...this.#warnings];
  }

  async #decode(request: DecodeRequest): Promise<void> {
    while (!this.#done && this.#ready.length < request.maxSamples) {
      if (this.#placed !== undefined || this.#mixed.length > 0) {
        await this.#putNext();
      } else if (this.decoder.hasMore === true) {
        this.#mix((await this.decoder.more?.()) ?? []);
      } else if (this.#finished) {
        this.#flush();
      } else if (this.#input.length > 0 && !this.decoder.finished) {
        const chunk = this.#input.subarray(0, this.decoder.chunkBytes);
        this.#input = this.#input.subarray(chunk.length);
        this.#mix(await this.decoder.push(chunk));
      } else if (request.ended || this.decoder.finished) {
        await this.#finish();
      } else {
        return;
      }
    }
  }

  /** Finishes the decoder once; `more` may then return the rest. */
  async #finish(): Promise<void> {
    if (!this.#ended) {
      this.#ended = true;
      this.#mix(await this.decoder.finish());
    }
    this.#finished = this.decoder.hasMore !== true;
  }

  #flush(): void {
    if (this.#flushed) {
      this.#endResampler();
      this.#done = true;
    }
    this.#flushed = true;
    this.#mixed.push(...this.#downmix.flush());
  }

  #mix(blocks: readonly DecodedBlock[]): void {
    for (const block of blocks) this.#mixed.push(...this.#downmix.push(block));
  }

  /** Outputs the next part of the mixed blocks: the silence of a gap, second by second, then the samples. */
  async #putNext(): Promise<void> {
    const placed = this.#placed ?? this.#placeNext();
    if (placed === undefined) return;
    const { silentSamples, samples, sampleRateHz } = placed;
    const silence = Math.min(silentSamples, Math.ceil(SILENCE_SECONDS * sampleRateHz));
    this.#placed = silence > 0 ? { ...placed, silentSamples: silentSamples - silence } : undefined;
    const next = silence > 0 ? new Float32Array(silence) : samples;
    if (next.length > 0) this.#put(await this.#resample(next, sampleRateHz));
  }

  #placeNext(): PlacedBlock | undefined {
    const block = this.#mixed.shift();
    if (block === undefined) return undefined;
    const { samples, sampleRateHz, timestampSeconds } = block;
    return { ...this.#timeline.place(samples, sampleRateHz, timestampSeconds), sampleRateHz };
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
    this.#outputSamples += samples.length;
    this.#ready.put(samples);
  }

  #seconds(): string {
    return (this.#outputSamples / SPEECH_SAMPLE_RATE_HZ).toFixed(2);
  }
}
