import { node, type OnnxGraph, type OnnxNode } from '../../onnx/index.js';

/** Inputs of an encoder that was changed: which rows of the sound it works out, and at which of the 1500 positions each stands. */
export const ROWS = 'heimdex_rows';
export const POSITIONS = 'heimdex_positions';
/** Whether rows stand for several positions; then `LOG_COUNTS` [1, 1, rows, rows] is added to the scores of every attention. */
export const MERGED = 'heimdex_merged';
export const LOG_COUNTS = 'heimdex_log_counts';

const SOUND = 'heimdex_sound';
const PLACES = 'heimdex_places';

/**
 * Lets the encoder work out chosen positions alone, some of them for their neighbours as well: the rows that its convolutions
 * give and the rows of the position embedding are chosen by inputs, and a row that stands for n positions weighs in the
 * attention as n equal ones would (log n is added to its scores). Method: the proportional attention of Bolya et al., "Token
 * Merging", 2023. Wants attention as one operator (`fuseAttention`) and one position embedding that is added. Returns false,
 * the graph unchanged, when it is of another make.
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
    node('Gather', [table.name, POSITIONS], [PLACES], { axis: table.dims.length - 2 }),
  );
  addition.inputs = addition.inputs.map((name) => (name === table.name ? PLACES : SOUND));
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

/** With scores added the operator holds the whole table of weights: only where rows are merged. */
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
