/**
 * mocha's spec reporter with a machine-readable last line: `12 passed, 0 failed, 3 skipped`. The counts are the runner's,
 * in which a failing hook is a failure.
 */
import Mocha from 'mocha';

export default class CountingReporter extends Mocha.reporters.Spec {
  epilogue() {
    super.epilogue();
    const { passes, failures, pending } = this.stats;
    const skipped = pending > 0 ? `, ${pending} skipped` : '';
    Mocha.reporters.Base.consoleLog(`${passes} passed, ${failures} failed${skipped}`);
  }
}
