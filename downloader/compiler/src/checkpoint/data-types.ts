import { CompilerError } from '../errors.js';

/** Element types of checkpoints, named as in safetensors, with their size in bytes. */
export const DATA_TYPES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;
export type DataType = keyof typeof DATA_TYPES;

export function isDataType(name: string): name is DataType {
  return Object.hasOwn(DATA_TYPES, name);
}

/**
 * Converts little-endian floats of any width to float32. Rounds float64. Throws CHECKPOINT_UNSUPPORTED for integers.
 *
 * @param bytes Freshly read; float32 is a view of them where their alignment allows it.
 * @param name The tensor's, for the message.
 */
export function toFloat32(type: DataType, bytes: Uint8Array, name: string): Float32Array {
  const aligned = bytes.byteOffset % DATA_TYPES[type] === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset, byteLength } = aligned;
  if (type === 'F32') return new Float32Array(buffer, byteOffset, byteLength / 4);
  if (type === 'F64') return Float32Array.from(new Float64Array(buffer, byteOffset, byteLength / 8));
  if (type === 'BF16') return fromBfloat16(new Uint16Array(buffer, byteOffset, byteLength / 2));
  if (type === 'F16') return fromFloat16(new Uint16Array(buffer, byteOffset, byteLength / 2));
  throw otherType(name, type);
}

/** The error of a tensor that is not of floats. */
export function otherType(name: string, type: string): CompilerError {
  return new CompilerError(
    'CHECKPOINT_UNSUPPORTED',
    `Expected tensor ${name} to be of F64, F32, F16 or BF16, got ${type}. If its weights were quantized (bitsandbytes, GPTQ, FP8), choose the model that they were made from.`,
  );
}

/** bfloat16 is the upper half of float32. */
function fromBfloat16(values: Uint16Array): Float32Array {
  const bits = new Uint32Array(values.length);
  for (let i = 0; i < values.length; i++) bits[i] = (values[i] as number) << 16;
  return new Float32Array(bits.buffer);
}

/** Converts IEEE 754 binary16 by bit operations, subnormal numbers by value. */
function fromFloat16(values: Uint16Array): Float32Array {
  const bits = new Uint32Array(values.length);
  const floats = new Float32Array(bits.buffer);
  for (let i = 0; i < values.length; i++) {
    const half = values[i] as number;
    const sign = (half & 0x8000) << 16;
    const rest = half & 0x7fff;
    if (rest >= 0x7c00) bits[i] = sign | 0x7f800000 | ((rest & 0x3ff) << 13);
    else if (rest >= 0x400) bits[i] = sign | ((rest << 13) + 0x38000000);
    else {
      floats[i] = rest * 2 ** -24;
      bits[i] = (bits[i] as number) | sign;
    }
  }
  return floats;
}

/** Converts float32 to IEEE 754 binary16, rounded to nearest, ties to even; infinity beyond its range. */
export function toFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i] as number;
    const sign = (value >>> 16) & 0x8000;
    const exponent = ((value >>> 23) & 0xff) - 112;
    const fraction = value & 0x7fffff;
    if (exponent >= 31) halves[i] = sign | (exponent === 143 && fraction !== 0 ? 0x7e00 : 0x7c00);
    else if (exponent > 0) halves[i] = sign | rounded((exponent << 10) | (fraction >>> 13), fraction & 0x1fff, 0x1000);
    else if (exponent > -11) {
      const shift = 14 - exponent;
      const whole = fraction | 0x800000;
      halves[i] = sign | rounded(whole >>> shift, whole & ((1 << shift) - 1), 1 << (shift - 1));
    } else halves[i] = sign;
  }
  return halves;
}

function rounded(kept: number, dropped: number, half: number): number {
  return dropped > half || (dropped === half && (kept & 1) === 1) ? kept + 1 : kept;
}
