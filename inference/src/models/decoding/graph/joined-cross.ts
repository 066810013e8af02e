import type { OnnxGraph, OnnxModel } from '../../../onnx/index.js';

/** The encoder's output as an input of the joined graph, and in a decoder's state: its name says that it is one row per audio. */
export const STATES = 'heimdex.encoder.states';
/** The same in the graph of the cross keys and values. */
const CROSS_INPUT = 'encoder_hidden_states';
/** Before all other names of that graph. */
const PREFIX = 'cross/';

/**
 * Adds the graph of the cross attention's keys and values to a compiled decoder's, so that they are computed in each run from the
 * encoder's output (STATES), a fiftieth of their size. Modifies `decoder`. Throws if the decoder reads none of them.
 */
export function joinCross(decoder: OnnxModel, cross: OnnxModel): void {
  const { graph } = decoder;
  const given = new Map(cross.graph.outputs.map(({ name }) => [name, name.replace('present', 'past_key_values')]));
  const inputs = new Set(given.values());
  if (!graph.inputs.some(({ name }) => inputs.has(name))) {
    throw new Error('Expected a decoder that reads the keys and values of the cross graph, got another.');
  }
  const renamed = (name: string) => {
    if (name === '') return name;
    return name === CROSS_INPUT ? STATES : (given.get(name) ?? `${PREFIX}${name}`);
  };
  const states = cross.graph.inputs.filter(({ name }) => name === CROSS_INPUT);
  graph.inputs = [
    ...graph.inputs.filter(({ name }) => !inputs.has(name)),
    ...states.map((value) => ({ ...value, name: STATES })),
  ];
  graph.initializers.push(...cross.graph.initializers.map((tensor) => ({ ...tensor, name: renamed(tensor.name) })));
  graph.nodes.unshift(...renamedNodes(cross.graph, renamed));
  graph.shapes = [];
}

function renamedNodes({ nodes }: OnnxGraph, renamed: (name: string) => string): OnnxGraph['nodes'] {
  return nodes.map((node) => {
    if (node.attributes.some(({ graph }) => graph !== undefined))
      throw new Error('Expected a cross graph without branches.');
    return { ...node, name: renamed(node.name), inputs: node.inputs.map(renamed), outputs: node.outputs.map(renamed) };
  });
}
