/** A stretch of an audio file to be looked at for speech. The detector keeps no state of its own: it travels with the work. */
export interface VadWindow {
  readonly type: 'vad';
  /** 16 kHz mono, any length; the last step is filled up with silence. */
  readonly samples: Float32Array;
  /** What the stretch before left, absent at the start of an audio file. */
  readonly state: VadState | undefined;
}

/** What the detector remembers between stretches. */
export interface VadState {
  /** The recurrent layers' state, 2 x 1 x 128. */
  readonly hidden: Float32Array;
  /** The last 64 samples. */
  readonly context: Float32Array;
}

export interface VadResult {
  readonly type: 'vad';
  /** Probability of speech of each step of 512 samples (32 ms). */
  readonly probabilities: Float32Array;
  readonly state: VadState;
}
