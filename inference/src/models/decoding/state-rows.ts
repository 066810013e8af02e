import { Tensor } from 'onnxruntime-node';
import type { DecoderState } from './merged-decoder.js';

/**
 * A state of the given sequences of another, in their order; one may come several times. All sequences hear the same audio:
 * the encoder's keys and values, by far the largest part, are the same for each and are only copied when there are more
 * sequences than before.
 */
export function selectRows(state: DecoderState, rows: readonly number[]): DecoderState {
  if (rows.length === state.rows && rows.every((row, index) => row === index)) return state;
  const cache = Object.fromEntries(
    Object.entries(state.cache).map(([name, tensor]) => {
      const size = tensor.size / state.rows;
      const data = tensor.data as Float32Array;
      const dims = [rows.length, ...tensor.dims.slice(1)];
      if (name.includes('.encoder.') && rows.length <= state.rows) {
        return [name, new Tensor('float32', data.subarray(0, rows.length * size), dims)];
      }
      const selected = new Float32Array(size * rows.length);
      rows.forEach((row, index) => {
        selected.set(data.subarray(row * size, (row + 1) * size), index * size);
      });
      return [name, new Tensor('float32', selected, dims)];
    }),
  );
  return { ...state, cache, rows: rows.length };
}
