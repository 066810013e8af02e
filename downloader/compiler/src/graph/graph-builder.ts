import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type AttributeValue,
  type Dimension,
  type ElementType,
  node,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
  tensor,
  writeModel,
} from '@heimdex/onnx';
import { WeightsFile, type WrittenFile } from './weights-file.js';

/** Values of a constant. */
export type ConstantValues = Float32Array | Uint16Array | BigInt64Array | Uint8Array | Int8Array;

/** Constants smaller than this lie in the graph itself. */
const MIN_EXTERNAL_BYTES = 1024;
/** Gelu as an operator came with 20. */
const OPSET = 20n;
const IR_VERSION = 10n;

/**
 * Writes a graph: operators are collected, large constants go to the weights file as soon as they are made, so that memory
 * holds one of them at a time. `finish` writes NAME beside NAME_data.
 */
export class GraphBuilder {
  readonly #folder: string;
  readonly #name: string;
  readonly #weights: WeightsFile;
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers = new Map<string, OnnxTensor>();
  readonly #inputs: OnnxValue[] = [];
  readonly #outputs: OnnxValue[] = [];
  #unnamed = 0;

  /** @param name Such as `encoder.onnx`. */
  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
    const weights = `${name}_data`;
    this.#weights = new WeightsFile(join(folder, weights), weights);
  }

  input(name: string, elementType: ElementType, dims: readonly Dimension[]): string {
    this.#inputs.push({ name, elementType, dims: [...dims] });
    return name;
  }

  /** Makes a value an output under `name`. */
  output(name: string, value: string, elementType: ElementType, dims: readonly Dimension[]): void {
    this.#nodes.push(node('Identity', [value], [name]));
    this.#outputs.push({ name, elementType, dims: [...dims] });
  }

  /** A constant; one of a name that is there already is that one. Returns its name. */
  constant(name: string, dims: readonly number[], values: ConstantValues): string {
    if (this.#initializers.has(name)) return name;
    const made = tensor(name, dims, values);
    const bytes = made.data?.kind === 'inline' ? made.data.bytes : new Uint8Array(0);
    if (bytes.length < MIN_EXTERNAL_BYTES) {
      // A view of what may be a large buffer: keep the values alone.
      this.#initializers.set(name, { ...made, data: { kind: 'inline', bytes: bytes.slice() } });
    } else {
      this.#external(made, [bytes]);
    }
    return name;
  }

  /** A constant that is made part by part. */
  streamed(name: string, elementType: ElementType, dims: readonly number[], parts: Iterable<ConstantValues>): string {
    const bytes = function* (): Generator<Uint8Array> {
      for (const part of parts) yield new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    };
    this.#external({ name, dims: [...dims], elementType, data: undefined, rest: [] }, bytes());
    return name;
  }

  #external(made: OnnxTensor, parts: Iterable<Uint8Array>): void {
    const offset = this.#weights.align();
    for (const part of parts) this.#weights.append(part);
    const length = this.#weights.sizeBytes - offset;
    this.#initializers.set(made.name, {
      ...made,
      data: { kind: 'external', location: this.#weights.name, offset, length },
    });
  }

  integers(...values: readonly number[]): string {
    return this.constant(`integers_${values.join('_')}`, [values.length], BigInt64Array.from(values, BigInt));
  }

  /** An index without dimensions, for Gather that drops its axis. */
  index(value: number): string {
    return this.constant(`index_${value}`, [], BigInt64Array.of(BigInt(value)));
  }

  scalar(value: number): string {
    return this.constant(`scalar_${value}`, [], Float32Array.of(value));
  }

  /** A standard operator with one output; returns the output's name. */
  op(opType: string, inputs: readonly string[], attributes: Readonly<Record<string, AttributeValue>> = {}): string {
    return this.#add(opType, inputs, attributes, '', 1)[0] as string;
  }

  /** A standard operator with several outputs. */
  ops(
    opType: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): readonly string[] {
    return this.#add(opType, inputs, attributes, '', outputs);
  }

  /** One of ONNX Runtime's own operators. */
  runtimeOp(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    return this.#add(opType, inputs, attributes, 'com.microsoft', 1)[0] as string;
  }

  /** If: each branch reads values of this graph and makes one float32 value of `rank` dimensions. */
  either(
    condition: string,
    whether: (branch: Branch) => string,
    otherwise: (branch: Branch) => string,
    rank: number,
  ): string {
    const branch = (name: string, build: (branch: Branch) => string): OnnxGraph => {
      const nodes: OnnxNode[] = [];
      const result = build((opType, inputs, attributes = {}, domain = '') => {
        const output = `${name}_${this.#unnamed++}`;
        nodes.push(node(opType, inputs, [output], attributes, domain));
        return output;
      });
      const outputs = [{ name: result, elementType: 'float32' as const, dims: new Array<Dimension>(rank).fill(null) }];
      return { name, nodes, initializers: [], inputs: [], outputs, shapes: [], rest: [] };
    };
    return this.op('If', [condition], {
      then_branch: branch('then', whether),
      else_branch: branch('else', otherwise),
    });
  }

  #add(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>>,
    domain: string,
    count: number,
  ): readonly string[] {
    const outputs = Array.from({ length: count }, () => `${opType}_${this.#unnamed++}`);
    this.#nodes.push(node(opType, inputs, outputs, attributes, domain));
    return outputs;
  }

  /** Writes the graph beside its weights. */
  finish(): readonly WrittenFile[] {
    const weights = this.#weights.close();
    const model: OnnxModel = {
      irVersion: IR_VERSION,
      producer: 'heimdex',
      opsets: new Map([
        ['', OPSET],
        ['com.microsoft', 1n],
      ]),
      graph: {
        name: this.#name,
        nodes: this.#nodes,
        initializers: [...this.#initializers.values()],
        inputs: this.#inputs,
        outputs: this.#outputs,
        shapes: [],
        rest: [],
      },
      rest: [],
    };
    const bytes = writeModel(model);
    writeFileSync(join(this.#folder, this.#name), bytes, { flag: 'wx', flush: true });
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return [{ name: this.#name, sizeBytes: bytes.length, sha256 }, weights];
  }

  /** Closes the weights file after a failure. */
  abandon(): void {
    this.#weights.abandon();
  }
}

/** Adds an operator to a branch of an If; returns its output. */
export type Branch = (
  opType: string,
  inputs: readonly string[],
  attributes?: Readonly<Record<string, AttributeValue>>,
  domain?: string,
) => string;
