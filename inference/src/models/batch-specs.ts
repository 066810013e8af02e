/** How the families batch. Measured (bench/serving/batches.js). */
import { KIB, MIB } from '@heimdex/common';
import type { BatchSpec } from './model.js';

/**
 * Some thirty texts or four images per thread cost 0.6 to 0.75 of what they cost one by one, and more of them no less. Texts are padded to
 * their longest: more padding than a tenth costs more than a batch saves.
 */
export const TOKEN_BATCH: BatchSpec = {
  maxCost: (threads) => 2304 * threads,
  bytesPerCost: () => 64 * KIB,
  maxPadding: 0.1,
};
/** Images of faces gain nothing but that the next ones are decoded meanwhile. */
export const PIXEL_BATCH: BatchSpec = {
  maxCost: (threads) => 8 * MIB * threads,
  bytesPerCost: () => 64,
  maxPadding: 1,
};
/**
 * Four windows, whatever the threads: the decoder reads its weights once for all of them, and more gain nothing. The memory of a run grows
 * with the model, as the keys and values of the audio do: 100 MiB for a window of Whisper base.
 */
export const SPEECH_BATCH: BatchSpec = {
  maxCost: () => 120,
  bytesPerCost: (needBytes) => needBytes / 60,
  maxPadding: 1,
};
