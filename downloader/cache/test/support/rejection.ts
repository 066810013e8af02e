import { CacheError } from '../../src/index.js';

/** The CacheError that a promise or a function ends with. Fails when it ends well or with something else. */
export async function cacheErrorOf(action: Promise<unknown> | (() => unknown)): Promise<CacheError> {
  try {
    await (typeof action === 'function' ? action() : action);
  } catch (error) {
    if (error instanceof CacheError) return error;
    throw error;
  }
  throw new Error('Expected a CacheError, got a result');
}
