export { eachTensor, withExternalWeights } from './external.js';
export { dependsOnCompany, type GraphFacts, readGraphFacts } from './facts.js';
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
export { newModel, node, tensor, writeModel } from './write.js';
