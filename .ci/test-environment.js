/**
 * Preloaded into every test process. Disables the telemetry of ONNX Runtime, and sets TMPDIR to a new directory that is
 * removed when the process ends, even if a run is interrupted within a test.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

process.env.ORT_DISABLE_TELEMETRY = '1';

const dir = mkdtempSync(join(tmpdir(), 'heimdex-test-'));
// Some tests run a part as another user, who has to get through to it. Processes that a test process starts have theirs below it.
chmodSync(dir, 0o711);
process.env.TMPDIR = dir;
process.once('exit', () => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }));

// Without a listener, a signal ends the process without the exit event.
for (const [signal, status] of Object.entries({ SIGHUP: 129, SIGINT: 130, SIGTERM: 143 })) {
  process.once(signal, () => process.exit(status));
}
