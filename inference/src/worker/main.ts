/**
 * The worker program. A run blocks its thread and cannot be cancelled, and a crash in native code ends its process. Neither may
 * affect the server: each model runs in separate processes.
 */
import { LOADERS } from '../models/loaders.js';
import { startWorker } from './start.js';

startWorker(LOADERS);
