import { type ConfiguredModel, type FoundModel, type InspectOptions, inspectModel } from '../../src/index.js';

/** A model that is there; rejects with the first thing that is wrong with it. */
export async function findModel(
  cacheDir: string,
  configured: ConfiguredModel,
  options: InspectOptions = {},
): Promise<FoundModel> {
  const { found, problems } = await inspectModel(cacheDir, configured, options);
  if (found === undefined) throw problems[0] ?? new Error(`${configured.id} is not there, and nobody says why`);
  return found;
}
