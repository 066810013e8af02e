/**
 * mocha's spec reporter with a last line a machine can read: `12 passed, 0 failed, 3 skipped`. The counts are the
 * runner's own; a failing hook counts as a failure, so that it can never look like a pass.
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
