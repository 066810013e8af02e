/**
 * The program of a worker process. A run blocks its thread and cannot be cancelled, and a crash of native code takes its
 * process down; neither may happen to the server, so each model lives in a process of its own.
 */
import { LOADERS } from '../models/loaders.js';
import { startWorker } from './start.js';

startWorker(LOADERS);
