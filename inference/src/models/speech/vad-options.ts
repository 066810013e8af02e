/** What is speech and what is silence. Names and defaults of faster-whisper 1.2.1 (`VadOptions`). */
export interface VadOptions {
  /** From this probability on it is speech. */
  readonly threshold: number;
  /** Below this one speech ends. */
  readonly negThreshold: number;
  /** Speech that is not longer is left out. */
  readonly minSpeechDurationMs: number;
  /** Longer speech is cut; Infinity: none is. More than twice `speechPadMs`. */
  readonly maxSpeechDurationSeconds: number;
  /** Shorter silences belong to the speech around them. */
  readonly minSilenceDurationMs: number;
  /** Kept before and after speech. */
  readonly speechPadMs: number;
}

export const VAD_OPTIONS: VadOptions = {
  threshold: 0.5,
  negThreshold: 0.35,
  minSpeechDurationMs: 0,
  maxSpeechDurationSeconds: Number.POSITIVE_INFINITY,
  minSilenceDurationMs: 2000,
  speechPadMs: 400,
};
