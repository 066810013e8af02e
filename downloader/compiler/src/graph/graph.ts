import {
  type AttributeValue,
  type Dimension,
  type ElementType,
  elementTypeNumber,
  node,
  type OnnxGraph,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
  RUNTIME_DOMAIN,
  tensor,
} from '@heimdex/onnx';

/** Values of a constant. */
export type ConstantValues = Float32Array | Uint16Array | BigInt64Array | Uint8Array | Int8Array;

/** Values created when they are written, and not at all if only the graph's shape is needed. */
export type Lazy<Values> = () => Values;

type Attributes = Readonly<Record<string, AttributeValue>>;

/**
 * Collects a graph: values are identified by name. Subclasses decide where constants go: to a file, or nowhere until the layers
 * are run.
 */
export abstract class Graph {
  /** Operators, layer by layer. */
  protected readonly layers: OnnxNode[][] = [[]];
  protected initializers = new Map<string, OnnxTensor>();
  protected readonly inputs: OnnxValue[] = [];
  protected readonly outputs: OnnxValue[] = [];
  #unnamed = 0;
  /** Rows of a product's matrix that are multiplied in one slice: a graph that is only run may have a vocabulary in several. */
  readonly productRows: number = Number.POSITIVE_INFINITY;

  /** Whether the largest magnitudes of the products' inputs are outputs of the graph too. */
  readonly measuresInputs: boolean = false;

  input(name: string, elementType: ElementType, dims: readonly Dimension[]): string {
    this.inputs.push({ name, elementType, dims: [...dims] });
    return name;
  }

  /** Declares a float32 value as an output under `name`. */
  output(name: string, value: string, dims: readonly Dimension[]): void {
    this.#push(node('Identity', [value], [name]));
    this.outputs.push({ name, elementType: 'float32', dims: [...dims] });
  }

  /**
   * Declares a float32 value that no operator reads yet as an output under `name`: the last operator writes it. Returns `name`, for its
   * readers.
   */
  named(name: string, value: string, dims: readonly Dimension[]): string {
    const last = this.layers.at(-1)?.at(-1);
    if (last?.outputs[0] !== value) throw new Error(`Expected the last operator to write ${value}.`);
    last.outputs = [name];
    this.outputs.push({ name, elementType: 'float32', dims: [...dims] });
    return name;
  }

  /** Adds a constant; an existing one of that name is reused. Returns its name. */
  constant(name: string, elementType: ElementType, dims: readonly number[], values: Lazy<ConstantValues>): string {
    return this.streamed(name, elementType, dims, function* () {
      yield values();
    });
  }

  /** Adds a constant that is created part by part. */
  streamed(
    name: string,
    elementType: ElementType,
    dims: readonly number[],
    parts: Lazy<Iterable<ConstantValues>>,
  ): string {
    if (!this.initializers.has(name))
      this.initializers.set(name, this.store({ name, dims: [...dims], elementType, data: undefined, rest: [] }, parts));
    return name;
  }

  /** Stores a large constant. */
  protected abstract store(constant: OnnxTensor, parts: Lazy<Iterable<ConstantValues>>): OnnxTensor;

  /** Adds a constant stored in the graph itself. */
  #inline(name: string, dims: readonly number[], values: Float32Array | BigInt64Array | Uint8Array): string {
    if (!this.initializers.has(name)) this.initializers.set(name, tensor(name, dims, values));
    return name;
  }

  integers(...values: readonly number[]): string {
    return this.#inline(`integers_${values.join('_')}`, [values.length], BigInt64Array.from(values, BigInt));
  }

  /** An index without dimensions, for Gather that drops its axis. */
  index(value: number): string {
    return this.#inline(`index_${value}`, [], BigInt64Array.of(BigInt(value)));
  }

  scalar(value: number): string {
    return this.#inline(`scalar_${value}`, [], Float32Array.of(value));
  }

  /** A byte without dimensions: the zero point of a quantization. */
  byte(value: number): string {
    return this.#inline(`byte_${value}`, [], Uint8Array.of(value));
  }

  /** A standard operator with one output; returns the output's name. */
  op(opType: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.#add(opType, inputs, attributes, '', 1)[0] as string;
  }

  /** Split into `count` equal parts along `axis`. */
  split(value: string, count: number, axis: number): readonly string[] {
    return this.#add('Split', [value], { axis, num_outputs: count }, '', count);
  }

  /** One of ONNX Runtime's own operators. */
  runtimeOp(opType: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.#add(opType, inputs, attributes, RUNTIME_DOMAIN, 1)[0] as string;
  }

  /** A value in another element type. */
  cast(value: string, to: ElementType): string {
    return this.op('Cast', [value], { to: elementTypeNumber(to) });
  }

  /** The size of a value's axis, int64 [1]. */
  sizeOf(value: string, axis: number): string {
    return this.op('Gather', [this.op('Shape', [value]), this.integers(axis)], { axis: 0 });
  }

  /** A shape of sizes and of int64 values [1], for Reshape and Expand. */
  shape(...sizes: readonly (number | string)[]): string {
    const parts = sizes.map((size) => (typeof size === 'number' ? this.integers(size) : size));
    return this.op('Concat', parts, { axis: 0 });
  }

  /** If: one of ONNX Runtime's own operators with the inputs `whether` or `otherwise`. Its output has three dimensions. */
  either(
    condition: string,
    opType: string,
    [whether, otherwise]: readonly [readonly string[], readonly string[]],
    attributes: Attributes,
    elementType: ElementType,
  ): string {
    const branch = (name: string, inputs: readonly string[]): OnnxGraph => {
      const output = `${name}_${this.#unnamed++}`;
      const nodes = [node(opType, inputs, [output], attributes, RUNTIME_DOMAIN)];
      const outputs = [{ name: output, elementType, dims: [null, null, null] }];
      return { name, nodes, initializers: [], inputs: [], outputs, shapes: [], rest: [] };
    };
    return this.op('If', [condition], {
      then_branch: branch('then', whether),
      else_branch: branch('else', otherwise),
    });
  }

  /** Marks the end of a layer, where the graph may be split. */
  cut(): void {
    this.layers.push([]);
  }

  #push(operator: OnnxNode): void {
    this.layers.at(-1)?.push(operator);
  }

  #add(
    opType: string,
    inputs: readonly string[],
    attributes: Attributes,
    domain: string,
    count: number,
  ): readonly string[] {
    const outputs = Array.from({ length: count }, () => `${opType}_${this.#unnamed++}`);
    this.#push(node(opType, inputs, outputs, attributes, domain));
    return outputs;
  }
}
