/** Whether a path names external weights of a graph too large for one file: `model.onnx_data`, then `model.onnx_data_1`, or torch's `model.onnx.data`. */
export function isExternalData(path: string): boolean {
  return /(_data(_\d+)?|\.onnx\.data)$/.test(path);
}

/** The same of one graph's weights, by its path. */
export function isExternalDataOf(graph: string, path: string): boolean {
  return path.startsWith(graph) && isExternalData(path);
}
