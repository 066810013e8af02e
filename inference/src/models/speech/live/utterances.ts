import { SPEECH_SAMPLE_RATE_HZ } from '../../../media/audio/pcm.js';
import { STEP_SAMPLES } from '../../silero/speech-timestamps.js';
import { VAD_OPTIONS } from '../vad-options.js';

/** Silence that ends an utterance, 0.6 s. */
const PAUSE_SAMPLES = 0.6 * SPEECH_SAMPLE_RATE_HZ;

/** A change of the speech state, at a sample of the audio. */
export interface UtteranceEdge {
  readonly type: 'start' | 'end';
  /** Start: the first step of speech. End: where the silence began. */
  readonly sample: number;
}

/** Finds utterances in a stream of speech probabilities, one per step of 512 samples. Thresholds are those of `vad_filter`. */
export class UtteranceDetector {
  #position = 0;
  #speaking = false;
  #silence: number | undefined;

  get speaking(): boolean {
    return this.#speaking;
  }

  push(probabilities: Float32Array): readonly UtteranceEdge[] {
    return Array.from(probabilities).flatMap((probability) => {
      const edge = this.#step(probability);
      this.#position += STEP_SAMPLES;
      return edge === undefined ? [] : [edge];
    });
  }

  #step(probability: number): UtteranceEdge | undefined {
    if (probability >= VAD_OPTIONS.threshold) {
      this.#silence = undefined;
      if (this.#speaking) return undefined;
      this.#speaking = true;
      return { type: 'start', sample: this.#position };
    }
    if (!this.#speaking) return undefined;
    if (probability < VAD_OPTIONS.negThreshold) this.#silence ??= this.#position;
    if (this.#silence === undefined || this.#position + STEP_SAMPLES - this.#silence < PAUSE_SAMPLES) return undefined;
    const sample = this.#silence;
    this.#speaking = false;
    this.#silence = undefined;
    return { type: 'end', sample };
  }
}
