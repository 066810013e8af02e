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
  varintBytes,
} from '@heimdex/onnx';
import { memorySource, withFileSource } from './source.js';

/** Tensors with at least this many bytes remain in the file when a model is read from one. */
const RANGE_MIN_BYTES = 1024;

/** The runtime's parser reads 100 messages in each other: of a graph, a node and an attribute. */
const MAX_NESTED_GRAPHS = 33;

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
  readonly #decoder = new TextDecoder();
  #nestedGraphs = 0;

  constructor(
    private readonly source: ByteSource,
    private readonly rangeMinBytes: number,
  ) {}

  model(): OnnxModel {
    const rest: Unmodelled[] = [];
    const opsets = new Map<string, bigint>();
    let irVersion = 0n;
    let producer = '';
    let graph: OnnxGraph | undefined;
    const { model } = FIELDS;
    this.#read(fieldsOf(this.source, 0, this.source.sizeBytes), rest, {
      [model.irVersion]: (part) => (irVersion = part.value),
      [model.producer]: (part) => (producer = this.#text(part)),
      [model.graph]: (part) => (graph = this.#graph(part)),
      [model.opset]: (part) => opsets.set(...this.#opset(part)),
    });
    if (graph === undefined) throw new Error('Expected an ONNX model with a graph, got none.');
    return { irVersion, producer, opsets, graph, rest };
  }

  #opset(field: Field): [domain: string, version: bigint] {
    let domain = '';
    let version = 0n;
    this.#read(this.#inside(field), undefined, {
      [FIELDS.opset.domain]: (part) => (domain = this.#text(part)),
      [FIELDS.opset.version]: (part) => (version = part.value),
    });
    return [domain, version];
  }

  #graph(field: Field): OnnxGraph {
    const read: OnnxGraph = { name: '', nodes: [], initializers: [], inputs: [], outputs: [], shapes: [], rest: [] };
    const { graph } = FIELDS;
    if (++this.#nestedGraphs > MAX_NESTED_GRAPHS)
      throw new Error(`Expected at most ${MAX_NESTED_GRAPHS} graphs in each other, got more.`);
    this.#read(this.#inside(field), read.rest, {
      [graph.node]: (part) => read.nodes.push(this.#node(part)),
      [graph.name]: (part) => (read.name = this.#text(part)),
      [graph.initializer]: (part) => read.initializers.push(this.#tensor(part)),
      [graph.input]: (part) => read.inputs.push(this.#value(part)),
      [graph.output]: (part) => read.outputs.push(this.#value(part)),
      [graph.shape]: (part) => read.shapes.push(this.#whole(part)),
    });
    this.#nestedGraphs--;
    return read;
  }

  #node(field: Field): OnnxNode {
    const read: OnnxNode = { name: '', opType: '', domain: '', inputs: [], outputs: [], attributes: [], rest: [] };
    const { node } = FIELDS;
    this.#read(this.#inside(field), read.rest, {
      [node.input]: (part) => read.inputs.push(this.#text(part)),
      [node.output]: (part) => read.outputs.push(this.#text(part)),
      [node.name]: (part) => (read.name = this.#text(part)),
      [node.opType]: (part) => (read.opType = this.#text(part)),
      [node.domain]: (part) => (read.domain = this.#text(part)),
      [node.attribute]: (part) => read.attributes.push(this.#attribute(part)),
    });
    return read;
  }

  #attribute(field: Field): OnnxAttribute {
    const read: OnnxAttribute = { name: '', graph: undefined, int: undefined, ints: [], tensor: undefined, rest: [] };
    const { attribute } = FIELDS;
    this.#read(this.#inside(field), read.rest, {
      [attribute.name]: (part) => (read.name = this.#text(part)),
      [attribute.graph]: (part) => (read.graph = this.#graph(part)),
      [attribute.int]: (part) => (read.int = BigInt.asIntN(64, part.value)),
      [attribute.ints]: (part) => this.#integers(part, (value) => read.ints.push(BigInt.asIntN(64, value))),
      [attribute.tensor]: (part) => (read.tensor = this.#tensor(part)),
    });
    return read;
  }

  #tensor(field: Field): OnnxTensor {
    const read: OnnxTensor = { name: '', dims: [], elementType: 'undefined', data: undefined, rest: [] };
    const external = new Map<string, string>();
    /** Data in the typed fields, common for small tensors: raw floats, integers as varints. */
    const typed: Uint8Array[] = [];
    const integers: Field[] = [];
    const { tensor } = FIELDS;
    this.#read(this.#inside(field), read.rest, {
      [tensor.dims]: (part) => this.#integers(part, (value) => read.dims.push(Number(value))),
      [tensor.dataType]: (part) => {
        read.elementType = elementType(part.value);
        if (read.elementType === 'undefined') read.rest.push(this.#whole(part));
      },
      [tensor.name]: (part) => (read.name = this.#text(part)),
      [tensor.rawData]: (part) => (read.data = this.#data(part)),
      [tensor.floats]: (part) => typed.push(this.#copy(part.offset, part.length)),
      [tensor.int32s]: (part) => integers.push(part),
      [tensor.int64s]: (part) => integers.push(part),
      [tensor.externalData]: (part) => {
        const [key, value] = this.#entry(part);
        external.set(key, value);
        // For example the location of the runtime's prepacked weights.
        if (!EXTERNAL_KEYS.has(key)) read.rest.push(this.#whole(part));
      },
      [tensor.dataLocation]: () => {},
    });
    if (typed.length > 0) read.data = { kind: 'inline', bytes: concatBytes(typed) };
    const integerBytes = INTEGER_BYTES[read.elementType];
    if (integerBytes === undefined) for (const part of integers) read.rest.push(this.#whole(part));
    else if (integers.length > 0)
      read.data = { kind: 'inline', bytes: varintBytes(this.source, integers, integerBytes) };
    const location = external.get('location');
    if (location !== undefined) {
      const offset = Number(external.get('offset') ?? 0);
      read.data = { kind: 'external', location, offset, length: Number(external.get('length') ?? 0) };
    }
    return read;
  }

  #entry(field: Field): [key: string, value: string] {
    let key = '';
    let value = '';
    this.#read(this.#inside(field), undefined, {
      [FIELDS.entry.key]: (part) => (key = this.#text(part)),
      [FIELDS.entry.value]: (part) => (value = this.#text(part)),
    });
    return [key, value];
  }

  #data(field: Field): TensorData {
    if (field.length >= this.rangeMinBytes) return { kind: 'range', offset: field.offset, length: field.length };
    return { kind: 'inline', bytes: this.#copy(field.offset, field.length) };
  }

  #value(field: Field): OnnxValue {
    const read: OnnxValue = { name: '', elementType: 'undefined', dims: undefined };
    const { value, type, tensorType } = FIELDS;
    const readTensorType = (part: Field) =>
      this.#read(this.#inside(part), undefined, {
        [tensorType.elementType]: (one) => (read.elementType = elementType(one.value)),
        [tensorType.shape]: (shape) => (read.dims = Array.from(this.#inside(shape), (dim) => this.#dimension(dim))),
      });
    this.#read(this.#inside(field), undefined, {
      [value.name]: (part) => (read.name = this.#text(part)),
      [value.type]: (part) => {
        this.#read(this.#inside(part), undefined, { [type.tensor]: readTensorType });
        if (read.elementType === 'undefined') read.type = this.#whole(part);
      },
    });
    return read;
  }

  #dimension(field: Field): number | string | null {
    let size: number | string | null = null;
    this.#read(this.#inside(field), undefined, {
      [FIELDS.dim.value]: (part) => (size = Number(BigInt.asIntN(64, part.value))),
      [FIELDS.dim.param]: (part) => (size = this.#text(part)),
    });
    return size;
  }

  /** Gives each field to the reader of its number; the others are kept in `rest`, if there is one. */
  #read(
    fields: Iterable<Field>,
    rest: Unmodelled[] | undefined,
    readers: Readonly<Record<number, (part: Field) => unknown>>,
  ): void {
    for (const part of fields) {
      const read = readers[part.number];
      if (read !== undefined) read(part);
      else rest?.push(this.#whole(part));
    }
  }

  /** One by one: as the arguments of a call, an attribute or a tensor may have more than the stack holds. */
  #integers(field: Field, add: (value: bigint) => void): void {
    for (const value of packedVarints(this.source, field)) add(value);
  }

  #inside(field: Field): Generator<Field, void, void> {
    return fieldsOf(this.source, field.offset, field.offset + field.length);
  }

  #text(field: Field): string {
    return this.#decoder.decode(this.source.bytes(field.offset, field.length));
  }

  #whole(field: Field): Unmodelled {
    return this.#copy(field.start, field.offset + field.length - field.start);
  }

  #copy(offset: number, length: number): Uint8Array {
    return this.source.bytes(offset, length).slice();
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
