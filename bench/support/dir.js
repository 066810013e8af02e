// A directory for a bench's files that is gone afterwards, also when the bench fails or is interrupted.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/** Makes an empty directory that is removed when the process ends. */
export function temporaryDir() {
  const dir = mkdtempSync(join(tmpdir(), 'heimdex-bench-'));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  // Without a listener a signal ends the process before anything else is done.
  for (const [signal, status] of Object.entries(SIGNALS)) process.once(signal, () => process.exit(status));
  return dir;
}
