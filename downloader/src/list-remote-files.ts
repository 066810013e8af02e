import type { Source } from '@heimdex/cache';
import { askHub } from './ask-hub.js';
import type { ModelState } from './cache-state.js';
import { combineFailures, DownloaderError } from './errors.js';
import { askPinned } from './pinned-files.js';
import type { Remote } from './remote.js';
import type { RemoteFiles } from './remote-files.js';

/**
 * Lists a model's files from the first of its sources that answers. A locked model is requested at its locked commit and must
 * have the locked hashes.
 * Throws DownloaderError of the first source if none answers.
 */
export async function listRemoteFiles(
  state: ModelState,
  cacheDir: string,
  remote: Remote,
  signal: AbortSignal,
): Promise<RemoteFiles> {
  const failures: DownloaderError[] = [];
  const sources = sourcesOf(state);
  for (const source of sources) {
    try {
      return source.type === 'hf'
        ? await askHub(state, source, cacheDir, remote, signal)
        : askPinned(state, source, remote);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof DownloaderError)) throw error;
      failures.push(error);
      if (failures.length < sources.length) remote.onSourceFailed(state.configured.id, source.type, error);
    }
  }
  const failure = combineFailures(state.configured.id, failures);
  const { suggestion } = state.configured;
  if (suggestion === undefined || !UNKNOWN_CODES.has(failure.code)) throw failure;
  throw new DownloaderError(failure.code, `${failure.message.replace(/\.$/, '')}${suggestion}`, { cause: failure });
}

/** Error codes of a hub that does not know a name. */
const UNKNOWN_CODES = new Set(['NOT_FOUND', 'AUTH_REQUIRED']);

/** Returns the sources in order; for a locked model, those of the locked type first. */
function sourcesOf({ configured, locked }: ModelState): readonly Source[] {
  if (locked === undefined) return configured.sources;
  const same = configured.sources.filter((source) => source.type === locked.source);
  return [...same, ...configured.sources.filter((source) => source.type !== locked.source)];
}
