/** The downloader as a library, without the process. */
export { DownloaderError, ERROR_CODES, type ErrorCode, EXIT_STATUS } from './errors.js';
export { type RunOptions, run } from './run.js';
