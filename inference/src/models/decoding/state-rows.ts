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
      if (state.inPlace && name.includes('.encoder.')) return [name, tensor];
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
  if (!state.inPlace || inCommon === undefined || rows.length !== state.rows) return selectRows(state, rows);
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
        return [name, like(tensor, numbersOf(tensor).subarray(from * size, (from + rows) * size), rows)];
      }),
    );
    from += rows;
    return { ...state, cache, rows };
  });
}

type Numbers = Float32Array<ArrayBuffer> | Int8Array<ArrayBuffer>;

function numbersOf(tensor: Tensor): Numbers {
  return tensor.data as Numbers;
}

/** A tensor of the same type, with other numbers. */
function like(tensor: Tensor, numbers: Numbers, rows: number): Tensor {
  const dims = [rows, ...tensor.dims.slice(1)];
  return numbers instanceof Int8Array ? new Tensor('int8', numbers, dims) : new Tensor('float32', numbers, dims);
}

/** The rows of a tensor, as views. */
export function eachRow(tensor: Tensor): readonly Tensor[] {
  const rows = tensor.dims[0] ?? 1;
  if (rows === 1) return [tensor];
  const size = tensor.size / rows;
  return Array.from({ length: rows }, (_, row) =>
    like(tensor, numbersOf(tensor).subarray(row * size, (row + 1) * size), 1),
  );
}

/** Concatenates tensors of one type along the first dimension; a view where they are adjacent in one buffer. */
export function joinTensors(tensors: readonly Tensor[]): Tensor {
  const parts = tensors.map(numbersOf);
  const [first] = parts;
  const [firstTensor] = tensors;
  if (first === undefined || firstTensor === undefined) throw new Error('Expected at least one tensor to join.');
  const rows = tensors.reduce((sum, tensor) => sum + (tensor.dims[0] ?? 0), 0);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const kind = first instanceof Int8Array ? Int8Array : Float32Array;
  if (lieBehindEachOther(parts)) return like(firstTensor, new kind(first.buffer, first.byteOffset, length), rows);
  const joined = new kind(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return like(firstTensor, joined, rows);
}

function lieBehindEachOther(parts: readonly Numbers[]): boolean {
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
  const tensor = state.cache[name];
  if (tensor === undefined) throw new Error(`Expected a state with ${name}.`);
  const isEven = name.includes('.encoder.') || tensor.dims[2] === capacityFor(state.length);
  return !state.inPlace || isEven ? tensor : withCapacity(tensor, state.length);
}
