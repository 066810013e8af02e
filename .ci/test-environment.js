/**
 * What every test process starts with. ONNX Runtime for Linux would send its maker telemetry, and a test sends nothing. And a
 * directory for temporary ones of its own, which is gone when the process ends, also when a run is interrupted in the middle of
 * a test that would have tidied up.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

process.env.ORT_DISABLE_TELEMETRY = '1';

const dir = mkdtempSync(join(tmpdir(), 'heimdex-test-'));
process.env.TMPDIR = dir;
process.once('exit', () => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }));

// Without a listener a signal ends the process before anything else is done.
for (const [signal, status] of Object.entries({ SIGHUP: 129, SIGINT: 130, SIGTERM: 143 })) {
  process.once(signal, () => process.exit(status));
}
