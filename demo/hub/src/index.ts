/** A local model hub with the Hugging Face hub's API, for the demo and for tests. */
export { safetensorsFile, shardedSafetensors } from './checkpoints/safetensors-file.js';
export { bertShapes, type Shapes, siglipShapes, whisperShapes } from './checkpoints/shapes.js';
export { fillRandom, type NamedTensor, randomTensors } from './checkpoints/tensors.js';
export { torchFile } from './checkpoints/torch-file.js';
export { filesIn, repositoriesIn } from './dirs.js';
export { embeddedRepositories } from './embedded.js';
export type { Fault, FaultAction, FaultList } from './faults.js';
export { pythonWithHub, runPython } from './python.js';
export type { Commit, CommittedFile, HubFile, HubRepository } from './repository.js';
export type { RequestFilter, RequestKind, RequestLog, RequestRecord } from './request-log.js';
export { type Hub, type HubOptions, startHub } from './start-hub.js';
