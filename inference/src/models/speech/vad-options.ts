/** Options of voice activity detection. Names and defaults of faster-whisper 1.2.1 (`VadOptions`). */
export interface VadOptions {
  /** Speech begins at this probability. */
  readonly threshold: number;
  /** Speech ends below this probability. */
  readonly negThreshold: number;
  /** Shorter speech is dropped. */
  readonly minSpeechDurationMs: number;
  /** Longer speech is split; Infinity: never. More than twice `speechPadMs`. */
  readonly maxSpeechDurationSeconds: number;
  /** Shorter silences do not end speech. */
  readonly minSilenceDurationMs: number;
  /** Padding kept before and after speech. */
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
