import {
  ATTRIBUTE_TYPES,
  type Dimension,
  ELEMENT_TYPES,
  type ElementType,
  FIELDS,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
} from './model.js';
import { bytesField, concatBytes, floatField, partsField, varintField } from './wire.js';

/**
 * Returns a model as an ONNX file's bytes. Throws for a tensor that is still a range of its source file: point it at that file
 * first (`withExternalWeights`).
 */
export function writeModel(model: OnnxModel): Uint8Array {
  return concatBytes([
    varintField(FIELDS.model.irVersion, model.irVersion),
    ...(model.producer === '' ? [] : [bytesField(FIELDS.model.producer, model.producer)]),
    ...[...model.opsets].map(([domain, version]) =>
      bytesField(
        FIELDS.model.opset,
        concatBytes([bytesField(FIELDS.opset.domain, domain), varintField(FIELDS.opset.version, version)]),
      ),
    ),
    ...partsField(FIELDS.model.graph, writeGraph(model.graph)),
    ...model.rest,
  ]);
}

/** In parts, so that large constants are copied once, at the end. */
function writeGraph(graph: OnnxGraph): Uint8Array[] {
  return [
    ...graph.nodes.map((node) => bytesField(FIELDS.graph.node, writeNode(node))),
    bytesField(FIELDS.graph.name, graph.name),
    ...graph.initializers.flatMap((tensor) => partsField(FIELDS.graph.initializer, writeTensor(tensor))),
    ...graph.inputs.map((value) => bytesField(FIELDS.graph.input, writeValue(value))),
    ...graph.outputs.map((value) => bytesField(FIELDS.graph.output, writeValue(value))),
    ...graph.shapes,
    ...graph.rest,
  ];
}

function writeNode(node: OnnxNode): Uint8Array {
  return concatBytes([
    ...node.inputs.map((name) => bytesField(FIELDS.node.input, name)),
    ...node.outputs.map((name) => bytesField(FIELDS.node.output, name)),
    bytesField(FIELDS.node.name, node.name),
    bytesField(FIELDS.node.opType, node.opType),
    ...(node.domain === '' ? [] : [bytesField(FIELDS.node.domain, node.domain)]),
    ...node.attributes.map((attribute) => bytesField(FIELDS.node.attribute, writeAttribute(attribute))),
    ...node.rest,
  ]);
}

/** The kind of an attribute is in `rest` if it was read from a file. */
function writeAttribute(attribute: OnnxAttribute): Uint8Array {
  return concatBytes([
    bytesField(FIELDS.attribute.name, attribute.name),
    ...(attribute.int === undefined ? [] : [varintField(FIELDS.attribute.int, attribute.int)]),
    ...attribute.ints.map((value) => varintField(FIELDS.attribute.ints, value)),
    ...(attribute.tensor === undefined ? [] : partsField(FIELDS.attribute.tensor, writeTensor(attribute.tensor))),
    ...(attribute.graph === undefined ? [] : partsField(FIELDS.attribute.graph, writeGraph(attribute.graph))),
    ...attribute.rest,
  ]);
}

function writeTensor(tensor: OnnxTensor): Uint8Array[] {
  const { data } = tensor;
  if (data?.kind === 'range') {
    throw new Error(`Expected the data of tensor ${tensor.name} in memory or as external data, got a range of a file.`);
  }
  const entry = (key: string, value: string) =>
    bytesField(
      FIELDS.tensor.externalData,
      concatBytes([bytesField(FIELDS.entry.key, key), bytesField(FIELDS.entry.value, value)]),
    );
  return [
    ...tensor.dims.map((dim) => varintField(FIELDS.tensor.dims, dim)),
    ...(tensor.elementType === 'undefined'
      ? []
      : [varintField(FIELDS.tensor.dataType, elementTypeNumber(tensor.elementType))]),
    bytesField(FIELDS.tensor.name, tensor.name),
    ...(data?.kind === 'inline' ? partsField(FIELDS.tensor.rawData, [data.bytes]) : []),
    ...(data?.kind === 'external'
      ? [
          entry('location', data.location),
          entry('offset', String(data.offset)),
          entry('length', String(data.length)),
          varintField(FIELDS.tensor.dataLocation, 1),
        ]
      : []),
    ...tensor.rest,
  ];
}

function writeValue(value: OnnxValue): Uint8Array {
  const name = bytesField(FIELDS.value.name, value.name);
  if (value.elementType === 'undefined') return concatBytes([name, value.type ?? new Uint8Array(0)]);
  const dims = value.dims?.map((dim) => bytesField(FIELDS.shape.dim, writeDimension(dim)));
  const type = concatBytes([
    varintField(FIELDS.tensorType.elementType, elementTypeNumber(value.elementType)),
    ...(dims === undefined ? [] : [bytesField(FIELDS.tensorType.shape, concatBytes(dims))]),
  ]);
  return concatBytes([name, bytesField(FIELDS.value.type, bytesField(FIELDS.type.tensor, type))]);
}

function writeDimension(dim: Dimension): Uint8Array {
  if (dim === null) return new Uint8Array(0);
  return typeof dim === 'string' ? bytesField(FIELDS.dim.param, dim) : varintField(FIELDS.dim.value, dim);
}

/** The number of an element type in TensorProto.DataType, as Cast names it. */
export function elementTypeNumber(type: ElementType): number {
  for (const [number, name] of Object.entries(ELEMENT_TYPES)) if (name === type) return Number(number);
  return 0;
}

/** An attribute's value: a number is an integer, `{ float }` a 32-bit float. */
export type AttributeValue =
  | number
  | readonly number[]
  | OnnxGraph
  | { readonly float: number }
  | { readonly string: string };

/** An operator; its name is its first output's. */
export function node(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
  domain = '',
): OnnxNode {
  return {
    name: outputs[0] ?? opType,
    opType,
    domain,
    inputs: [...inputs],
    outputs: [...outputs],
    attributes: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
    rest: [],
  };
}

function attribute(name: string, value: AttributeValue): OnnxAttribute {
  const of = (
    kind: keyof typeof ATTRIBUTE_TYPES,
    given: Partial<OnnxAttribute>,
    unmodelled: readonly Uint8Array[] = [],
  ): OnnxAttribute => ({
    name,
    graph: undefined,
    int: undefined,
    ints: [],
    tensor: undefined,
    rest: [...unmodelled, varintField(FIELDS.attribute.type, ATTRIBUTE_TYPES[kind])],
    ...given,
  });
  if (typeof value === 'number') return of('int', { int: BigInt(value) });
  if ('float' in value) return of('float', {}, [floatField(FIELDS.attribute.float, value.float)]);
  if ('string' in value) return of('string', {}, [bytesField(FIELDS.attribute.string, value.string)]);
  return 'nodes' in value ? of('graph', { graph: value }) : of('ints', { ints: value.map(BigInt) });
}

const TENSOR_ARRAYS = [
  [Float32Array, 'float32'],
  [BigInt64Array, 'int64'],
  [Int32Array, 'int32'],
  [Uint16Array, 'float16'],
  [Uint8Array, 'uint8'],
  [Int8Array, 'int8'],
] as const;

/** A constant; 16-bit numbers are the bits of float16. */
export function tensor(
  name: string,
  dims: readonly number[],
  values: Float32Array | BigInt64Array | Int32Array | Uint16Array | Uint8Array | Int8Array,
): OnnxTensor {
  const elementType = TENSOR_ARRAYS.find(([kind]) => values instanceof kind)?.[1] ?? 'undefined';
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { name, dims: [...dims], elementType, data: { kind: 'inline', bytes }, rest: [] };
}

/** A graph of nodes, constants, inputs and outputs alone. */
export type PlainGraph = Pick<OnnxGraph, 'name' | 'nodes' | 'initializers' | 'inputs' | 'outputs'>;

/** A model of such a graph, for the standard operators of opset 17. */
export function newModel(graph: PlainGraph): OnnxModel {
  const rest = { shapes: [], rest: [] };
  return { irVersion: 8n, producer: '', opsets: new Map([['', 17n]]), graph: { ...graph, ...rest }, rest: [] };
}
