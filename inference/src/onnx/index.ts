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
} from '@heimdex/onnx';
export { newModel, node, tensor, writeModel } from '@heimdex/onnx';
export { fuseAttention } from './attention.js';
export { dropDead } from './dead-nodes.js';
export { eachTensor, withExternalWeights } from './external.js';
export { type ExternalReference, externalReferences } from './external-references.js';
export { type GraphFacts, graphFacts, isBatchInvariant, readGraphFacts } from './facts.js';
export type { ReadTensor } from './overflow-safe-weights.js';
export { parseModel, parseModelFile } from './parse.js';
export { mayOverflow, quantizePerToken } from './per-token-quantization.js';
export { Readers } from './readers.js';
export { withTensorsOf } from './tensor-data.js';
