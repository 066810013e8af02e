/** Exports for tests and tools; the program is bin/heimdex-inference.js. */
export { ERROR_CODES, type ErrorCode, InferenceError } from './errors.js';
export { EXIT_CODES, type ExitReason } from './exit-codes.js';
