import { Tensor } from 'onnxruntime-node';
import { exchangeRows, roomFor, withRoom } from './kv-cache.js';
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
      // Of sequences that stand side by side over one audio there is no row each.
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
 * As `selectRows`, where the state is not needed any more: the rows' tokens are exchanged in its cache, but for those that all
 * rows begin with. A search's beams share all of the prompt.
 */
export function exchangeStateRows(state: DecoderState, rows: readonly number[]): DecoderState {
  const { inCommon, length } = state;
  if (state.chunked !== true || inCommon === undefined || rows.length !== state.rows) return selectRows(state, rows);
  for (const [name, tensor] of Object.entries(state.cache)) {
    if (!name.includes('.encoder.')) exchangeRows(tensor, rows, inCommon, length);
  }
  return { ...state };
}

/** The sequences of several states as one: all of one length, over audio of one length. Nothing is copied of parts that lie behind each other. */
export function joinStates(states: readonly DecoderState[]): DecoderState {
  const [first, ...others] = states;
  if (first === undefined) throw new Error('Expected at least one state to join.');
  if (others.length === 0) return first;
  const cache = Object.fromEntries(
    Object.keys(first.cache).map((name) => [name, joinTensors(states.map((state) => tensorWithRoom(state, name)))]),
  );
  return { ...first, cache, rows: states.reduce((sum, { rows }) => sum + rows, 0), inCommon: undefined };
}

/** The reverse: a state's sequences in parts of so many each, as views of what it holds. */
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

/** Tensors of float32 as one, along their first dimension; a view where they lie behind each other in one buffer. */
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

/** Of states of one length, that came to it by different ways, some may have more room than others. */
function tensorWithRoom(state: DecoderState, name: string): Tensor {
  const tensor = tensorOf(state, name);
  const isEven = name.includes('.encoder.') || tensor.dims[2] === roomFor(state.length);
  return state.chunked !== true || isEven ? tensor : withRoom(tensor, state.length);
}

function tensorOf(state: DecoderState, name: string): Tensor {
  const tensor = state.cache[name];
  if (tensor === undefined) throw new Error(`Expected a state with ${name}.`);
  return tensor;
}
