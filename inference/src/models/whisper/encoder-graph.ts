import { WHISPER_VALUES } from '@heimdex/onnx';
import { node, type OnnxGraph, type OnnxNode } from '../../onnx/index.js';

/** Inputs of a transformed encoder: which rows of the sound to compute, and the position (of 1500) of each. */
export const ROWS = WHISPER_VALUES.rows;
export const POSITIONS = WHISPER_VALUES.positions;
/**
 * Whether rows may represent several positions. If so, `LOG_COUNTS` [1, 1, rows, rows] is added to all attention
 * scores.
 */
export const MERGED = WHISPER_VALUES.merged;
export const LOG_COUNTS = WHISPER_VALUES.logCounts;

const SOUND = 'heimdex_sound';
const POSITION_ROWS = 'heimdex_position_rows';

/**
 * Adds inputs that select which positions the encoder computes. The outputs of the convolutions and the rows of the
 * position embedding are gathered by index. A row that represents n positions has log n added to its attention scores,
 * so it weighs as n equal rows. Method: proportional attention of Bolya et al., "Token Merging", 2023. Needs fused
 * attention (`fuseAttention`) and a single added position embedding. Returns false and leaves the graph unchanged when
 * its structure differs.
 */
export function choosePositions(graph: OnnxGraph): boolean {
  const [input] = graph.inputs;
  const [output] = graph.outputs;
  if (input?.dims?.length !== 3 || output?.dims?.length !== 3) return false;
  const [table, ...others] = graph.initializers.filter(({ name }) => name.includes('embed_positions'));
  if (table?.elementType !== 'float32' || others.length > 0) return false;
  const [addition, ...more] = graph.nodes.filter(({ inputs }) => inputs.includes(table.name));
  const sound = addition?.inputs.find((name) => name !== table.name);
  if (addition?.opType !== 'Add' || more.length > 0 || sound === undefined) return false;
  const attentions = graph.nodes.filter(({ opType }) => opType === 'MultiHeadAttention');
  if (attentions.length === 0 || attentions.some(({ inputs }) => inputs.length !== 3)) return false;

  graph.nodes.splice(
    graph.nodes.indexOf(addition),
    0,
    node('Gather', [sound, ROWS], [SOUND], { axis: 1 }),
    // The table is [1500, width] or [1, 1500, width].
    node('Gather', [table.name, POSITIONS], [POSITION_ROWS], { axis: table.dims.length - 2 }),
  );
  addition.inputs = addition.inputs.map((name) => (name === table.name ? POSITION_ROWS : SOUND));
  for (const attention of attentions) {
    graph.nodes.splice(graph.nodes.indexOf(attention), 1, eitherWay(attention));
  }
  graph.inputs.push(
    { name: ROWS, elementType: 'int64', dims: ['rows'] },
    { name: POSITIONS, elementType: 'int64', dims: ['rows'] },
    { name: MERGED, elementType: 'bool', dims: [1] },
    { name: LOG_COUNTS, elementType: 'float32', dims: [1, 1, 'scored', 'scored'] },
  );
  input.dims[2] = 'frames';
  output.dims[1] = 'rows';
  graph.shapes = [];
  return true;
}

/** With an attention bias the operator materializes the full score table, so only where rows are merged. */
function eitherWay(attention: OnnxNode): OnnxNode {
  const branch = (suffix: string, inputs: readonly string[]): OnnxGraph => {
    const output = `${attention.outputs[0]}_${suffix}`;
    return {
      name: suffix,
      nodes: [{ ...attention, name: output, inputs: [...inputs], outputs: [output] }],
      initializers: [],
      inputs: [],
      outputs: [{ name: output, elementType: 'float32', dims: [null, null, null] }],
      shapes: [],
      rest: [],
    };
  };
  return node('If', [MERGED], attention.outputs, {
    then_branch: branch('merged', [...attention.inputs, '', '', LOG_COUNTS]),
    else_branch: branch('plain', attention.inputs),
  });
}
