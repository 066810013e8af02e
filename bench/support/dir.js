// A temporary directory that is removed even if the benchmark fails or is interrupted.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/** Creates an empty directory that is removed when the process ends. */
export function temporaryDir() {
  const dir = mkdtempSync(join(tmpdir(), 'heimdex-bench-'));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  // Without a listener, a signal ends the process without the exit event.
  for (const [signal, status] of Object.entries(SIGNALS)) process.once(signal, () => process.exit(status));
  return dir;
}
