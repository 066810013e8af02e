/**
 * An ONNX file as objects, to inspect and change a graph. Field numbers: onnx.proto of onnx 1.17 (IR version 10). Fields not
 * modelled here are kept as bytes and written back unchanged.
 */

/** Element types by their number in TensorProto.DataType. */
export const ELEMENT_TYPES = {
  0: 'undefined',
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  8: 'string',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
  16: 'bfloat16',
} as const;
export type ElementType = (typeof ELEMENT_TYPES)[keyof typeof ELEMENT_TYPES];

/** Domain of ONNX Runtime's own operators; that of the standard ones is ''. */
export const RUNTIME_DOMAIN = 'com.microsoft';

/** A size, the name of a size that is known at run time, or null: anything. */
export type Dimension = number | string | null;

/** Bytes of a field this module does not model, key included. */
export type Unmodelled = Uint8Array;

export interface OnnxValue {
  name: string;
  /** `undefined` for sequences, maps and types that are not modelled. */
  elementType: ElementType;
  /** Absent: even the rank is unknown. */
  dims: Dimension[] | undefined;
  /** Its type as in the file, where that is not modelled. */
  type?: Unmodelled;
}

/** A tensor's data: in memory, or a range of the file that the model was read from. */
export type TensorData =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | { readonly kind: 'range'; readonly offset: number; readonly length: number }
  | { readonly kind: 'external'; readonly location: string; readonly offset: number; readonly length: number };

export interface OnnxTensor {
  name: string;
  dims: number[];
  /** `undefined`: a type that is not modelled, such as those of 4 bits; its number is in `rest`. */
  elementType: ElementType;
  /** Little endian, as raw_data, whatever the encoding in the file. Absent: none, or an encoding kept in `rest`. */
  data: TensorData | undefined;
  rest: Unmodelled[];
}

export interface OnnxAttribute {
  name: string;
  /** Subgraphs of If and Loop. */
  graph: OnnxGraph | undefined;
  /** Integer and integers, the kinds most often looked at. */
  int: bigint | undefined;
  ints: bigint[];
  tensor: OnnxTensor | undefined;
  rest: Unmodelled[];
}

export interface OnnxNode {
  name: string;
  opType: string;
  domain: string;
  inputs: string[];
  outputs: string[];
  attributes: OnnxAttribute[];
  rest: Unmodelled[];
}

export interface OnnxGraph {
  name: string;
  nodes: OnnxNode[];
  initializers: OnnxTensor[];
  inputs: OnnxValue[];
  outputs: OnnxValue[];
  /** Shapes of intermediate values, one field each. Only hints: a change of the graph that invalidates them drops them. */
  shapes: Unmodelled[];
  rest: Unmodelled[];
}

export interface OnnxModel {
  irVersion: bigint;
  /** The program that created it, '' if unknown. */
  producer: string;
  /** Version by domain; the standard one is ''. */
  opsets: Map<string, bigint>;
  graph: OnnxGraph;
  rest: Unmodelled[];
}

/** Field numbers by message. */
export const FIELDS = {
  model: { irVersion: 1, producer: 2, graph: 7, opset: 8 },
  opset: { domain: 1, version: 2 },
  graph: { node: 1, name: 2, initializer: 5, input: 11, output: 12, shape: 13 },
  node: { input: 1, output: 2, name: 3, opType: 4, attribute: 5, domain: 7 },
  attribute: { name: 1, float: 2, int: 3, string: 4, tensor: 5, graph: 6, ints: 8, type: 20 },
  tensor: {
    dims: 1,
    dataType: 2,
    floats: 4,
    int32s: 5,
    int64s: 7,
    name: 8,
    rawData: 9,
    externalData: 13,
    dataLocation: 14,
  },
  entry: { key: 1, value: 2 },
  value: { name: 1, type: 2 },
  type: { tensor: 1 },
  tensorType: { elementType: 1, shape: 2 },
  shape: { dim: 1 },
  dim: { value: 1, param: 2 },
} as const;

/** AttributeProto.type of the modelled kinds. */
export const ATTRIBUTE_TYPES = { float: 1, int: 2, string: 3, tensor: 4, graph: 5, ints: 7 } as const;
