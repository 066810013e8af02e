/** Batching parameters per family. Measured with bench/serving/batches.js. */
import { KIB, MIB } from '@heimdex/common';
import type { BatchSpec } from './model.js';

/**
 * Thirty texts or four images per thread cost 0.6 to 0.75 of running them singly; larger batches gain nothing more.
 * Texts are padded to the longest: more than a tenth of padding costs more than a batch saves.
 */
export const TOKEN_BATCH: BatchSpec = {
  maxCost: (threads) => 2304 * threads,
  bytesPerCost: () => 64 * KIB,
  maxPadding: 0.1,
};
/** At least eight images, so that some are decoded while others run. A large model yields to other calls between images. */
export const IMAGE_BATCH: BatchSpec = {
  ...TOKEN_BATCH,
  maxCost: (threads) => Math.max(4608, TOKEN_BATCH.maxCost(threads)),
};
/** A run searches one image, so this maximum is only reported. */
export const PIXEL_BATCH: BatchSpec = {
  maxCost: () => 8 * MIB,
  bytesPerCost: () => 64,
  maxPadding: 1,
};
/**
 * Four windows, whatever the thread count: the decoder reads its weights once for all of them, and more gain nothing (four of Whisper
 * medium take 0.71 of the time of one after the other). Memory per window grows with the model, as the audio's keys and values do: 0.3 of the
 * worker's need with float32 keys and values (100 MiB for Whisper base), 0.09 to 0.13 in 8 bits (42 MiB; medium 142 MiB).
 */
export const SPEECH_BATCH: BatchSpec = {
  maxCost: () => 120,
  bytesPerCost: (needBytes) => needBytes / 100,
  maxPadding: 1,
};
