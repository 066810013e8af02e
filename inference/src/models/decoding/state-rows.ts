import { Tensor } from 'onnxruntime-node';
import type { DecoderState } from './decoder.js';
import { capacityFor, exchangeRows, withCapacity } from './kv-cache.js';

/**
 * Returns a state with the given sequences of another, in that order, possibly with repeats. All sequences share one
 * audio: the encoder's keys and values, by far the largest part, are equal and are copied only when the number of
 * sequences grows.
 */
export function selectRows(state: DecoderState, rows: readonly number[]): DecoderState {
  if (rows.length === state.rows && rows.every((row, index) => row === index)) return state;
  const cache = Object.fromEntries(
    Object.entries(state.cache).map(([name, tensor]) => {
      // Sequences that share an audio have no row each.
      if (state.chunked === true && name.includes('.encoder.')) return [name, tensor];
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
  return { ...state, cache, rows: rows.length, inCommon: state.rows === 1 ? state.length : state.inCommon };
}

/**
 * Like `selectRows`, for a state that is no longer needed: exchanges the rows' tokens in its cache, except for the
 * tokens that all rows share. A search's beams share the whole prompt.
 */
export function exchangeStateRows(state: DecoderState, rows: readonly number[]): DecoderState {
  const { inCommon, length } = state;
  if (state.chunked !== true || inCommon === undefined || rows.length !== state.rows) return selectRows(state, rows);
  for (const [name, tensor] of Object.entries(state.cache)) {
    if (!name.includes('.encoder.')) exchangeRows(tensor, rows, inCommon, length);
  }
  return { ...state };
}

/** Concatenates the sequences of several states of equal token and audio length. Adjacent parts are not copied. */
export function joinStates(states: readonly DecoderState[]): DecoderState {
  const [first, ...others] = states;
  if (first === undefined) throw new Error('Expected at least one state to join.');
  if (others.length === 0) return first;
  const cache = Object.fromEntries(
    Object.keys(first.cache).map((name) => [name, joinTensors(states.map((state) => tensorWithRoom(state, name)))]),
  );
  return { ...first, cache, rows: states.reduce((sum, { rows }) => sum + rows, 0), inCommon: undefined };
}

/** The reverse of joining: splits a state into parts of the given sizes, as views. */
export function splitState(state: DecoderState, parts: readonly number[]): readonly DecoderState[] {
  if (parts.length === 1) return [state];
  let from = 0;
  return parts.map((rows) => {
    const cache = Object.fromEntries(
      Object.entries(state.cache).map(([name, tensor]) => {
        const size = tensor.size / state.rows;
        const data = (tensor.data as Float32Array).subarray(from * size, (from + rows) * size);
        return [name, new Tensor('float32', data, [rows, ...tensor.dims.slice(1)])];
      }),
    );
    from += rows;
    return { ...state, cache, rows };
  });
}

/** Concatenates float32 tensors along the first dimension; a view where they are adjacent in one buffer. */
export function joinTensors(tensors: readonly Tensor[]): Tensor {
  const parts = tensors.map((tensor) => tensor.data as Float32Array);
  const [first] = parts;
  if (first === undefined) throw new Error('Expected at least one tensor to join.');
  const dims = [tensors.reduce((sum, tensor) => sum + (tensor.dims[0] ?? 0), 0), ...(tensors[0]?.dims.slice(1) ?? [])];
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (lieBehindEachOther(parts))
    return new Tensor('float32', new Float32Array(first.buffer, first.byteOffset, length), dims);
  const joined = new Float32Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return new Tensor('float32', joined, dims);
}

function lieBehindEachOther(parts: readonly Float32Array[]): boolean {
  return parts.every((part, index) => {
    const before = parts[index - 1];
    return (
      before === undefined ||
      (part.buffer === before.buffer && part.byteOffset === before.byteOffset + before.byteLength)
    );
  });
}

/** States of equal length may have different capacities, depending on how they got there. */
function tensorWithRoom(state: DecoderState, name: string): Tensor {
  const tensor = tensorOf(state, name);
  const isEven = name.includes('.encoder.') || tensor.dims[2] === capacityFor(state.length);
  return state.chunked !== true || isEven ? tensor : withCapacity(tensor, state.length);
}

function tensorOf(state: DecoderState, name: string): Tensor {
  const tensor = state.cache[name];
  if (tensor === undefined) throw new Error(`Expected a state with ${name}.`);
  return tensor;
}
