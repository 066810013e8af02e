/** What the three programs share. Logs are apart, in `@heimdex/common/log`: the client has none and installs no pino. */
export * from './backoff.js';
export * from './byte-units.js';
export * from './error-message.js';
export * from './format.js';
export * from './help.js';
export * from './visible.js';
