import type { DecodedBlock } from './decoder.js';

/**
 * Cuts blocks, given in order, to the edit of a track: encoders put their delay before its beginning and their padding
 * after its end.
 */
export function trimToEdit(edit: {
  readonly startSeconds: number;
  readonly seconds: number | undefined;
}): (block: DecodedBlock) => DecodedBlock {
  let position = 0;
  return ({ channels, sampleRateHz }) => {
    const first = Math.round(edit.startSeconds * sampleRateHz);
    const last =
      edit.seconds === undefined ? Number.POSITIVE_INFINITY : first + Math.round(edit.seconds * sampleRateHz);
    const length = channels[0]?.length ?? 0;
    const from = Math.min(length, Math.max(0, first - position));
    const to = Math.min(length, Math.max(from, last - position));
    position += length;
    return { channels: channels.map((samples) => samples.subarray(from, to)), sampleRateHz };
  };
}
