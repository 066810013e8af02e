import { node, type OnnxGraph, tensor } from '../../onnx/index.js';

/** What the last dimension of a freed encoder's input is named. */
export const FREE_LENGTH = 'heimdex_frames';

/**
 * Lets the encoder take fewer than 3000 frames. The only size the hub's exports fix is the addition of the position
 * embedding, 1500 rows: it gets a slice as long as what it is added to. Returns false when the graph is of another make.
 */
export function freeEncoderLength(graph: OnnxGraph): boolean {
  const [input] = graph.inputs;
  const [output] = graph.outputs;
  if (input?.dims?.length !== 3 || output?.dims?.length !== 3) return false;
  const positions = graph.initializers.filter(({ name }) => name.includes('embed_positions'));
  const [table] = positions;
  if (table === undefined || positions.length !== 1) return false;
  const users = graph.nodes.filter(({ inputs }) => inputs.includes(table.name));
  const [addition] = users;
  if (addition === undefined || users.length !== 1 || addition.opType !== 'Add') return false;
  const other = addition.inputs.find((name) => name !== table.name);
  if (other === undefined) return false;

  const cut = (suffix: string) => `heimdex_cut_${suffix}`;
  graph.nodes.splice(
    graph.nodes.indexOf(addition),
    0,
    node('Shape', [other], [cut('shape')]),
    node('Gather', [cut('shape'), cut('one')], [cut('length')], { axis: 0 }),
    node('Slice', [table.name, cut('zero'), cut('length'), cut('axis')], [cut('positions')]),
  );
  addition.inputs = addition.inputs.map((name) => (name === table.name ? cut('positions') : name));
  graph.initializers.push(
    tensor(cut('one'), [1], BigInt64Array.of(1n)),
    tensor(cut('zero'), [1], BigInt64Array.of(0n)),
    // The table is [1500, width] or [1, 1500, width].
    tensor(cut('axis'), [1], BigInt64Array.of(BigInt(table.dims.length - 2))),
  );
  input.dims[2] = FREE_LENGTH;
  output.dims[1] = 'positions';
  graph.shapes = [];
  return true;
}
