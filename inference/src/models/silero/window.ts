/** A part of an audio file to check for speech. The detector is stateless: its state travels with the work. */
export interface VadWindow {
  readonly type: 'vad';
  /** 16 kHz mono, any length; the last step is padded with silence. */
  readonly samples: Float32Array;
  /** The state after the previous part; absent at the start of an audio file. */
  readonly state: VadState | undefined;
}

/** The detector's state between parts. */
export interface VadState {
  /** The recurrent state, 2 x 1 x 128. */
  readonly hidden: Float32Array;
  /** The last 64 samples. */
  readonly context: Float32Array;
}

export interface VadResult {
  readonly type: 'vad';
  /** Probability of speech per step of 512 samples (32 ms). */
  readonly probabilities: Float32Array;
  readonly state: VadState;
}
