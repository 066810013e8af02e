import type { OnnxGraph, OnnxModel, OnnxTensor } from '@heimdex/onnx';

/**
 * Converts weights that remain in their file to external data of that file: a changed graph needs no copy of them. `location` is
 * the file's name in the directory given to the runtime (`model_external_initializers_file_folder_path`), which must be the real
 * directory, not a link out of it. Modifies `model`.
 */
export function withExternalWeights(model: OnnxModel, location: string): OnnxModel {
  eachTensor(model.graph, (tensor) => {
    if (tensor.data?.kind === 'range') {
      tensor.data = { kind: 'external', location, offset: tensor.data.offset, length: tensor.data.length };
    }
  });
  return model;
}

/** Visits all constants of a graph, including those of branches and of Constant nodes. */
export function eachTensor(graph: OnnxGraph, visit: (tensor: OnnxTensor) => void): void {
  for (const tensor of graph.initializers) visit(tensor);
  for (const node of graph.nodes) {
    for (const attribute of node.attributes) {
      if (attribute.tensor !== undefined) visit(attribute.tensor);
      if (attribute.graph !== undefined) eachTensor(attribute.graph, visit);
    }
  }
}
