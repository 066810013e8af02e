import {
  type ByteSource,
  concatBytes,
  ELEMENT_TYPES,
  type ElementType,
  FIELDS,
  type Field,
  fieldsOf,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
  packedVarints,
  type TensorData,
  type Unmodelled,
} from '@heimdex/onnx';
import { memorySource, withFileSource } from './source.js';

/** Tensors with at least this many bytes remain in the file when a model is read from one. */
const RANGE_MIN_BYTES = 1024;

/** Parses a model from memory. Throws if the bytes are not an ONNX model. */
export function parseModel(bytes: Uint8Array): OnnxModel {
  return new Parser(memorySource(bytes), Number.POSITIVE_INFINITY).model();
}

/**
 * Parses a model from its file; weights of 1 KiB or more are not read but recorded as ranges of the file. Blocks for a few
 * milliseconds. Throws if the file is unreadable or not an ONNX model.
 */
export function parseModelFile(path: string): OnnxModel {
  return withFileSource(path, (source) => new Parser(source, RANGE_MIN_BYTES).model());
}

/** The supported keys of a tensor's external data. */
const EXTERNAL_KEYS: ReadonlySet<string> = new Set(['location', 'offset', 'length']);

class Parser {
  readonly #source: ByteSource;
  readonly #rangeMinBytes: number;
  readonly #decoder = new TextDecoder();

  constructor(source: ByteSource, rangeMinBytes: number) {
    this.#source = source;
    this.#rangeMinBytes = rangeMinBytes;
  }

  model(): OnnxModel {
    const rest: Unmodelled[] = [];
    const opsets = new Map<string, bigint>();
    let irVersion = 0n;
    let producer = '';
    let graph: OnnxGraph | undefined;
    for (const field of fieldsOf(this.#source, 0, this.#source.sizeBytes)) {
      if (field.number === FIELDS.model.irVersion) irVersion = field.value;
      else if (field.number === FIELDS.model.producer) producer = this.#text(field);
      else if (field.number === FIELDS.model.graph) graph = this.#graph(field);
      else if (field.number === FIELDS.model.opset) {
        let domain = '';
        let version = 0n;
        for (const part of this.#inside(field)) {
          if (part.number === FIELDS.opset.domain) domain = this.#text(part);
          else if (part.number === FIELDS.opset.version) version = part.value;
        }
        opsets.set(domain, version);
      } else rest.push(this.#whole(field));
    }
    if (graph === undefined) throw new Error('Expected an ONNX model with a graph, got none.');
    return { irVersion, producer, opsets, graph, rest };
  }

  #graph(field: Field): OnnxGraph {
    const graph: OnnxGraph = { name: '', nodes: [], initializers: [], inputs: [], outputs: [], shapes: [], rest: [] };
    for (const part of this.#inside(field)) {
      if (part.number === FIELDS.graph.node) graph.nodes.push(this.#node(part));
      else if (part.number === FIELDS.graph.name) graph.name = this.#text(part);
      else if (part.number === FIELDS.graph.initializer) graph.initializers.push(this.#tensor(part));
      else if (part.number === FIELDS.graph.input) graph.inputs.push(this.#value(part));
      else if (part.number === FIELDS.graph.output) graph.outputs.push(this.#value(part));
      else if (part.number === FIELDS.graph.shape) graph.shapes.push(this.#whole(part));
      else graph.rest.push(this.#whole(part));
    }
    return graph;
  }

  #node(field: Field): OnnxNode {
    const node: OnnxNode = { name: '', opType: '', domain: '', inputs: [], outputs: [], attributes: [], rest: [] };
    for (const part of this.#inside(field)) {
      if (part.number === FIELDS.node.input) node.inputs.push(this.#text(part));
      else if (part.number === FIELDS.node.output) node.outputs.push(this.#text(part));
      else if (part.number === FIELDS.node.name) node.name = this.#text(part);
      else if (part.number === FIELDS.node.opType) node.opType = this.#text(part);
      else if (part.number === FIELDS.node.domain) node.domain = this.#text(part);
      else if (part.number === FIELDS.node.attribute) node.attributes.push(this.#attribute(part));
      else node.rest.push(this.#whole(part));
    }
    return node;
  }

  #attribute(field: Field): OnnxAttribute {
    const attribute: OnnxAttribute = {
      name: '',
      graph: undefined,
      int: undefined,
      ints: [],
      tensor: undefined,
      rest: [],
    };
    for (const part of this.#inside(field)) {
      if (part.number === FIELDS.attribute.name) attribute.name = this.#text(part);
      else if (part.number === FIELDS.attribute.graph) attribute.graph = this.#graph(part);
      else if (part.number === FIELDS.attribute.int) attribute.int = BigInt.asIntN(64, part.value);
      else if (part.number === FIELDS.attribute.ints)
        // Not as the arguments of one call: an attribute, like a tensor, may have more than the stack holds.
        for (const value of packedVarints(this.#source, part)) attribute.ints.push(BigInt.asIntN(64, value));
      else if (part.number === FIELDS.attribute.tensor) attribute.tensor = this.#tensor(part);
      else attribute.rest.push(this.#whole(part));
    }
    return attribute;
  }

  #tensor(field: Field): OnnxTensor {
    const tensor: OnnxTensor = { name: '', dims: [], elementType: 'undefined', data: undefined, rest: [] };
    const external = new Map<string, string>();
    /** Data in the typed fields, common for small tensors: raw floats, integers as varints. */
    const typed: Uint8Array[] = [];
    const numbers: bigint[] = [];
    for (const part of this.#inside(field)) {
      if (part.number === FIELDS.tensor.dims)
        for (const value of packedVarints(this.#source, part)) tensor.dims.push(Number(value));
      else if (part.number === FIELDS.tensor.dataType) tensor.elementType = elementType(part.value);
      else if (part.number === FIELDS.tensor.name) tensor.name = this.#text(part);
      else if (part.number === FIELDS.tensor.rawData) tensor.data = this.#data(part);
      else if (part.number === FIELDS.tensor.floats) typed.push(this.#copy(part.offset, part.length));
      else if (part.number === FIELDS.tensor.int32s || part.number === FIELDS.tensor.int64s)
        for (const value of packedVarints(this.#source, part)) numbers.push(value);
      else if (part.number === FIELDS.tensor.externalData) {
        let key = '';
        let value = '';
        for (const entry of this.#inside(part)) {
          if (entry.number === FIELDS.entry.key) key = this.#text(entry);
          else if (entry.number === FIELDS.entry.value) value = this.#text(entry);
        }
        external.set(key, value);
        // For example the location of the runtime's prepacked weights.
        if (!EXTERNAL_KEYS.has(key)) tensor.rest.push(this.#whole(part));
      } else if (part.number !== FIELDS.tensor.dataLocation) tensor.rest.push(this.#whole(part));
    }
    if (typed.length > 0) tensor.data = { kind: 'inline', bytes: concatBytes(typed) };
    if (numbers.length > 0) tensor.data = { kind: 'inline', bytes: integerBytes(numbers, tensor.elementType) };
    const location = external.get('location');
    if (location !== undefined) {
      const offset = Number(external.get('offset') ?? 0);
      tensor.data = { kind: 'external', location, offset, length: Number(external.get('length') ?? 0) };
    }
    return tensor;
  }

  #data(field: Field): TensorData {
    if (field.length >= this.#rangeMinBytes) return { kind: 'range', offset: field.offset, length: field.length };
    return { kind: 'inline', bytes: this.#copy(field.offset, field.length) };
  }

  #value(field: Field): OnnxValue {
    const value: OnnxValue = { name: '', elementType: 'undefined', dims: undefined };
    for (const part of this.#inside(field)) {
      if (part.number === FIELDS.value.name) value.name = this.#text(part);
      else if (part.number === FIELDS.value.type) {
        for (const type of this.#inside(part)) {
          if (type.number === FIELDS.type.tensor) this.#tensorType(type, value);
        }
      }
    }
    return value;
  }

  #tensorType(field: Field, value: OnnxValue): void {
    for (const part of this.#inside(field)) {
      if (part.number === FIELDS.tensorType.elementType) value.elementType = elementType(part.value);
      else if (part.number === FIELDS.tensorType.shape) {
        const dims: (number | string | null)[] = [];
        for (const dim of this.#inside(part)) {
          let size: number | string | null = null;
          for (const chunk of this.#inside(dim)) {
            if (chunk.number === FIELDS.dim.value) size = Number(BigInt.asIntN(64, chunk.value));
            else if (chunk.number === FIELDS.dim.param) size = this.#text(chunk);
          }
          dims.push(size);
        }
        value.dims = dims;
      }
    }
  }

  #inside(field: Field): Generator<Field, void, void> {
    return fieldsOf(this.#source, field.offset, field.offset + field.length);
  }

  #text(field: Field): string {
    return this.#decoder.decode(this.#source.bytes(field.offset, field.length));
  }

  #whole(field: Field): Unmodelled {
    return this.#copy(field.start, field.offset + field.length - field.start);
  }

  #copy(offset: number, length: number): Uint8Array {
    return this.#source.bytes(offset, length).slice();
  }
}

function elementType(value: bigint): ElementType {
  const types: Readonly<Record<number, ElementType>> = ELEMENT_TYPES;
  return types[Number(value)] ?? 'undefined';
}

/** Element size in bytes of the types that int32_data and int64_data may contain. */
const INTEGER_BYTES: Readonly<Partial<Record<ElementType, number>>> = {
  bool: 1,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  float16: 2,
  bfloat16: 2,
  int32: 4,
  int64: 8,
};

/** Converts integers, or the bits of half floats, to raw data. */
function integerBytes(values: readonly bigint[], type: ElementType): Uint8Array {
  const size = INTEGER_BYTES[type];
  if (size === undefined) throw new Error(`Expected integers in a tensor's integer field, got ${type}.`);
  const bytes = new Uint8Array(values.length * size);
  values.forEach((value, index) => {
    const bits = BigInt.asUintN(size * 8, value);
    for (let byte = 0; byte < size; byte++) bytes[index * size + byte] = Number((bits >> BigInt(8 * byte)) & 0xffn);
  });
  return bytes;
}
