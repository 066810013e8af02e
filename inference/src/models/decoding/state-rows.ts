import { Tensor } from 'onnxruntime-node';
import type { DecoderState } from './merged-decoder.js';

/** One sequence of a state. */
export interface RowOf {
  readonly state: DecoderState;
  readonly row: number;
}

/**
 * A state of the given sequences, in their order: some of one state, one several times, or of several states that have the
 * same length and the same audio positions. Copies, unless the sequences are one whole state as it stands.
 */
export function gatherRows(rows: readonly RowOf[]): DecoderState {
  const first = rows[0]?.state;
  if (first === undefined) throw new Error('Expected at least one sequence to gather.');
  if (rows.length === first.rows && rows.every(({ state, row }, index) => state === first && row === index))
    return first;
  for (const { state } of rows) {
    if (state.length !== first.length || state.audioPositions !== first.audioPositions) {
      throw new Error('Expected sequences of one length over audio of one length.');
    }
  }
  const cache = Object.fromEntries(
    Object.entries(first.cache).map(([name, tensor]) => {
      const size = tensor.size / first.rows;
      const data = new Float32Array(size * rows.length);
      rows.forEach(({ state, row }, index) => {
        const source = state.cache[name]?.data as Float32Array;
        data.set(source.subarray(row * size, (row + 1) * size), index * size);
      });
      return [name, new Tensor('float32', data, [rows.length, ...tensor.dims.slice(1)])];
    }),
  );
  return { cache, rows: rows.length, length: first.length, audioPositions: first.audioPositions };
}
