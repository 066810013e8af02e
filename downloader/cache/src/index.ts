/** What the downloader and the server both know of the models volume. No network, no dependencies. */
export * from './content-hash.js';
export * from './errors.js';
export * from './find-model.js';
export type * from './found-model.js';
export * from './inspect-model.js';
export * from './layout.js';
export * from './lock-file.js';
export * from './manifest.js';
export * from './manifest-types.js';
export * from './model-environment.js';
export * from './resolve-models.js';
export * from './safe-path.js';
export * from './tree-file.js';
export * from './variables.js';
export * from './verify-model.js';
