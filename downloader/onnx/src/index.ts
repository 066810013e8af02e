/** ONNX files as objects and bytes: written by the compiler, read by the server. No dependencies. */
export * from './long-texts.js';
export * from './model.js';
export * from './row-steps.js';
export * from './whisper-values.js';
export * from './wire.js';
export * from './write.js';
