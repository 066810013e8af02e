import { expect } from 'chai';
import { MAX_TIMER_MS, timeoutMsOf, withinTimers } from '../../src/transport/calls/call-timeout.js';

describe('call timeouts', () => {
  it('is read as the protocols write it', () => {
    expect(timeoutMsOf('grpc-timeout', '2S')).to.equal(2000);
    expect(timeoutMsOf('grpc-timeout', '99999999H')).to.equal(99_999_999 * 3_600_000);
    expect(timeoutMsOf('connect-timeout-ms', '9999999999')).to.equal(9_999_999_999);
    expect(timeoutMsOf('grpc-timeout', '100000000H')).to.equal(Number.POSITIVE_INFINITY);
    for (const value of [undefined, '', 'soon', '-1']) {
      expect(timeoutMsOf('connect-timeout-ms', value)).to.equal(Number.POSITIVE_INFINITY);
    }
  });

  it('is limited to the maximum of timers, and otherwise unchanged', () => {
    for (const value of ['600H', '99999999H', '2147484S', '35792M']) {
      const shortened = timeoutMsOf('grpc-timeout', withinTimers('grpc-timeout', value));
      expect(shortened, value).to.be.within(MAX_TIMER_MS - 1000, MAX_TIMER_MS);
    }
    expect(withinTimers('connect-timeout-ms', '2147483648')).to.equal(String(MAX_TIMER_MS));
    for (const value of ['1n', '2147483S', '20000M']) expect(withinTimers('grpc-timeout', value)).to.equal(value);
    for (const value of ['0', '2147483647', 'soon']) expect(withinTimers('connect-timeout-ms', value)).to.equal(value);
  });
});
