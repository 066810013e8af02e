/** Shared by the three programs. Logs are separate, in `@heimdex/common/log`: the client has none and does not install pino. */
export * from './backoff.js';
export * from './byte-units.js';
export * from './display-width.js';
export * from './error-message.js';
export * from './foreign-codecs.js';
export * from './format.js';
export * from './help.js';
export * from './json-object.js';
export * from './make-dir.js';
export * from './matroska-laces.js';
export * from './mp4-chunks.js';
export * from './mp4-samples.js';
export * from './once.js';
export * from './pcm-samples.js';
export * from './repeated-reads.js';
export * from './table.js';
export * from './visible.js';
