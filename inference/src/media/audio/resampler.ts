import type { SpeexModule } from '@echogarden/speex-resampler-wasm/simd';
import { SPEECH_SAMPLE_RATE_HZ } from './pcm.js';

/** SpeexDSP quality, 0 to 10. Measured in README.md: flat to 7.4 kHz, aliasing 113 dB down. */
const QUALITY = 8;
/** Samples per call of the resampler. */
const INPUT_SAMPLES = 8_192;
const FLOAT_BYTES = 4;

/**
 * Resamples mono samples of any rate to 16 kHz, in chunks of any size: SpeexDSP's resampler as WebAssembly. Output sample 0 is
 * at the time of input sample 0, and the output has the input's duration, to the nearest sample.
 */
export class Resampler {
  readonly #outputSamples: number;
  readonly #state: number;
  /** One allocation: input length, output length, input samples, output samples. */
  readonly #memory: number;
  #takenSamples = 0;
  #givenSamples = 0;
  #closed = false;

  private constructor(
    private readonly module: SpeexModule,
    readonly rateHz: number,
  ) {
    this.#outputSamples = Math.ceil((INPUT_SAMPLES * SPEECH_SAMPLE_RATE_HZ) / rateHz) + 64;
    this.#memory = module._malloc((2 + INPUT_SAMPLES + this.#outputSamples) * FLOAT_BYTES);
    this.#state = module._speex_resampler_init(1, rateHz, SPEECH_SAMPLE_RATE_HZ, QUALITY, this.#memory);
    if (this.#memory === 0 || this.#state === 0) throw new Error(`Cannot create a resampler for ${rateHz} Hz.`);
    module._speex_resampler_skip_zeros(this.#state);
  }

  /** Creates a resampler for input of `rateHz`. */
  static async create(rateHz: number): Promise<Resampler> {
    const { default: create } = await import('@echogarden/speex-resampler-wasm/simd');
    return new Resampler(await create(), rateHz);
  }

  push(samples: Float32Array): Float32Array {
    this.#takenSamples += samples.length;
    const output = this.#process(samples);
    this.#givenSamples += output.length;
    return output;
  }

  /** Returns the samples remaining in the filter. */
  flush(): Float32Array {
    const missing = Math.round((this.#takenSamples * SPEECH_SAMPLE_RATE_HZ) / this.rateHz) - this.#givenSamples;
    if (missing <= 0) return new Float32Array(0);
    const zeros = Math.ceil((missing * this.rateHz) / SPEECH_SAMPLE_RATE_HZ) + INPUT_SAMPLES;
    return this.#process(new Float32Array(zeros)).slice(0, missing);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.module._speex_resampler_destroy(this.#state);
    this.module._free(this.#memory);
  }

  #process(samples: Float32Array): Float32Array {
    const lengths = this.#memory;
    const input = lengths + 2 * FLOAT_BYTES;
    const output = input + INPUT_SAMPLES * FLOAT_BYTES;
    const result = new Float32Array(Math.ceil((samples.length * SPEECH_SAMPLE_RATE_HZ) / this.rateHz) + 64);
    let given = 0;
    for (let offset = 0; offset < samples.length; ) {
      const chunk = samples.subarray(offset, offset + INPUT_SAMPLES);
      this.module.HEAPF32.set(chunk, input / FLOAT_BYTES);
      this.module.HEAPU32[lengths / FLOAT_BYTES] = chunk.length;
      this.module.HEAPU32[lengths / FLOAT_BYTES + 1] = this.#outputSamples;
      this.module._speex_resampler_process_float(this.#state, 0, input, lengths, output, lengths + FLOAT_BYTES);
      const taken = this.module.HEAPU32[lengths / FLOAT_BYTES] ?? 0;
      const produced = this.module.HEAPU32[lengths / FLOAT_BYTES + 1] ?? 0;
      if (taken === 0 && produced === 0) throw new Error(`The resampler from ${this.rateHz} Hz makes no progress.`);
      const start = output / FLOAT_BYTES;
      result.set(this.module.HEAPF32.subarray(start, start + produced), given);
      given += produced;
      offset += taken;
    }
    return result.subarray(0, given);
  }
}
