/** ONNX files as objects and bytes: what the compiler writes and the server reads. No dependencies. */
export * from './model.js';
export * from './wire.js';
export * from './write.js';
