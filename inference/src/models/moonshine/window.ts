import type { VadResult, VadWindow } from '../silero/window.js';

/** One utterance. */
export interface UtteranceWindow {
  readonly type: 'utterance';
  /** 16 kHz mono at its true length, at most 30 s. */
  readonly samples: Float32Array;
}

export interface UtteranceResult {
  readonly type: 'utterance';
  /** Empty when nothing is said. */
  readonly text: string;
  readonly tokens: readonly number[];
  readonly avgLogProb: number;
  readonly compressionRatio: number;
}

export type MoonshineWindow = UtteranceWindow | VadWindow;
export type MoonshineResult = UtteranceResult | VadResult;
