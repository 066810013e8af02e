/** The downloader as a library: the program without a process around it. */
export { DownloaderError, ERROR_CODES, type ErrorCode, EXIT_STATUS } from './errors.js';
export { type RunOptions, run } from './run.js';
