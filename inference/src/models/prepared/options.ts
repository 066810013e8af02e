import { preparedFolder, preparedSources } from '@heimdex/cache';
import type { ConfiguredModel } from '../find.js';
import type { PreparedOptions } from './use.js';

/** Where a worker finds the prepared forms of a model. */
export function preparedOptions(
  cacheDir: string,
  { found, prepared: records }: Pick<ConfiguredModel, 'found' | 'prepared'>,
  verify: PreparedOptions['verify'],
): PreparedOptions {
  return { folder: preparedFolder(cacheDir), sources: Object.fromEntries(preparedSources(found)), records, verify };
}
