import { optimizedDir, optimizedSources } from '@heimdex/cache';
import type { ConfiguredModel } from '../../find.js';
import type { OptimizedOptions } from './use.js';

/** Where a worker finds the optimized models of its model. */
export function preparedOptions(
  cacheDir: string,
  { found, prepared: records }: Pick<ConfiguredModel, 'found' | 'prepared'>,
  verify: OptimizedOptions['verify'],
): OptimizedOptions {
  return { dir: optimizedDir(cacheDir), sources: Object.fromEntries(optimizedSources(found)), records, verify };
}
