export { eachTensor, withExternalWeights } from './external.js';
export { dependsOnCompany, type GraphFacts, graphFacts, readGraphFacts } from './facts.js';
export type {
  Dimension,
  ElementType,
  OnnxAttribute,
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  OnnxTensor,
  OnnxValue,
  TensorData,
} from './model.js';
export { parseModel, parseModelFile } from './parse.js';
export { scaleRows } from './row-scales.js';
export { newModel, node, tensor, writeModel } from './write.js';
