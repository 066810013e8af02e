import { MIB } from '@heimdex/common';
import { expect } from 'chai';
import { pino } from 'pino';
import { InferenceError } from '../../src/errors.js';
import { largestMessageBytes } from '../../src/transport/calls/admission.js';
import { type Arrival, CallTracker } from '../../src/transport/calls/call-tracker.js';
import { ARRIVAL, admissionOf } from '../fixtures/admission.js';

const UNARY = { streaming: false };
const STREAM = { streaming: true };

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return error instanceof InferenceError ? error.code : String(error);
  }
}

describe('admission', () => {
  it('admits calls again as soon as others end', () => {
    const admission = admissionOf();
    const first = admission.admit(ARRIVAL, UNARY);
    first.body.announce(7 * MIB);
    first.body.receive(7 * MIB);
    expect(admission.heldBytes).to.equal(14 * MIB);
    const second = admission.admit(ARRIVAL, UNARY);
    expect(codeOf(() => second.body.announce(7 * MIB))).to.equal('QUEUE_FULL');
    first.close();
    expect(codeOf(() => second.body.announce(7 * MIB))).to.equal(undefined);
    second.close();
    second.close();
    expect(admission.heldBytes).to.equal(0);
  });

  it('counts what a stream leaves in memory until it is decoded, and refuses what does not fit', () => {
    const admission = admissionOf();
    const [first, second] = [admission.admit(ARRIVAL, STREAM), admission.admit(ARRIVAL, STREAM)];
    first.open.call.retain?.(10 * MIB);
    expect(admission.heldBytes).to.be.at.least(10 * MIB);
    expect(codeOf(() => second.open.call.retain?.(10 * MIB))).to.equal('QUEUE_FULL');
    first.open.call.retain?.(0);
    expect(codeOf(() => second.open.call.retain?.(10 * MIB))).to.equal(undefined);
    expect(codeOf(() => second.open.call.retain?.(17 * MIB))).to.equal('MESSAGE_TOO_LARGE');
    first.close();
    second.close();
    expect(admission.heldBytes).to.equal(0);
  });

  it('counts the headers of a call until it ends', () => {
    const admission = admissionOf();
    const call = admission.admit({ ...ARRIVAL, headerBytes: MIB }, UNARY);
    expect(admission.heldBytes).to.be.within(MIB, 1.1 * MIB);
    call.body.receive(MIB);
    expect(admission.heldBytes).to.equal(3 * MIB);
    call.answer(MIB);
    expect(admission.heldBytes).to.be.within(2 * MIB, 2.1 * MIB);
    call.close();
    expect(codeOf(() => admission.admit({ ...ARRIVAL, headerBytes: 16 * MIB }, UNARY))).to.equal('QUEUE_FULL');
    expect(admission.heldBytes).to.equal(0);
  });

  it('counts nothing of a health call, unless its headers are as large as those of no probe', () => {
    const admission = admissionOf();
    const probe = { ...ARRIVAL, skipAccessLog: true };
    admission.admit({ ...probe, headerBytes: 4096 }, UNARY);
    expect(admission.heldBytes).to.equal(0);
    const large = admission.admit({ ...probe, headerBytes: MIB }, UNARY);
    expect(admission.heldBytes).to.be.within(MIB, 1.1 * MIB);
    expect(codeOf(() => admission.admit({ ...probe, headerBytes: 16 * MIB }, UNARY))).to.equal('QUEUE_FULL');
    large.close();
    expect(admission.heldBytes).to.equal(0);
  });

  it('leaves a quarter of the memory to interactive calls, unless a bulk call is alone', () => {
    const refused: string[] = [];
    const admission = admissionOf({ refused: (priority) => refused.push(priority) });
    const bulk = { ...ARRIVAL, header: (name: string) => (name === 'x-heimdex-priority' ? 'bulk' : undefined) };
    const receive = (arrival: Arrival, bytes: number) => {
      const call = admission.admit(arrival, UNARY);
      return { ...call, code: codeOf(() => call.body.receive(bytes)) };
    };
    const alone = receive(bulk, 7 * MIB);
    expect(alone.code).to.equal(undefined);
    expect(codeOf(() => admission.admit(bulk, UNARY))).to.equal('QUEUE_FULL');
    const interactive = receive(ARRIVAL, MIB / 2);
    expect(interactive.code).to.equal(undefined);
    alone.close();
    const fitting = receive(bulk, 5 * MIB);
    expect(fitting.code).to.equal(undefined);
    expect(receive(bulk, MIB).code).to.equal('QUEUE_FULL');
    expect(receive(ARRIVAL, 2 * MIB).code).to.equal(undefined);
    expect(receive(ARRIVAL, 2 * MIB).code).to.equal('QUEUE_FULL');
    expect(refused).to.deep.equal(['bulk', 'bulk', 'interactive']);
  });

  it('reserves little for a caller that announces much and sends nothing', () => {
    const admission = admissionOf();
    const calls = Array.from({ length: 40 }, () => admission.admit(ARRIVAL, UNARY));
    for (const { body } of calls) body.announce(4 * MIB);
    expect(admission.heldBytes).to.be.at.most(40 * 128 * 1024);
    for (const { close } of calls) close();
  });

  it('counts a complete message once, and its response until it is sent', () => {
    const admission = admissionOf();
    const call = admission.admit(ARRIVAL, UNARY);
    call.body.announce(2 * MIB);
    call.body.receive(2 * MIB);
    call.body.keep(2 * MIB);
    expect(admission.heldBytes).to.equal(2 * MIB);
    call.answer(3 * MIB);
    expect(admission.heldBytes).to.be.within(3 * MIB, 4 * MIB);
    call.close();
    expect(admission.heldBytes).to.equal(0);
  });

  it('counts the decompressed bytes, whatever the message declares', () => {
    const admission = admissionOf();
    const { body, close } = admission.admit(ARRIVAL, UNARY);
    body.announce(1000);
    body.receive(1000);
    expect(codeOf(() => body.unpack(8 * MIB - 100_000))).to.equal(undefined);
    expect(codeOf(() => body.unpack(200_000))).to.equal('MESSAGE_TOO_LARGE');
    close();
  });

  it('rejects a message above the maximum size immediately', () => {
    const { body, close } = admissionOf().admit(ARRIVAL, UNARY);
    expect(codeOf(() => body.announce(8 * MIB + 1))).to.equal('MESSAGE_TOO_LARGE');
    close();
  });

  it('rejects a message larger than its memory', () => {
    const largest = largestMessageBytes(64 * MIB, 16 * MIB);
    const admission = admissionOf({ maxMessageBytes: largest });
    const { body, close } = admission.admit(ARRIVAL, UNARY);
    body.announce(largest);
    expect(codeOf(() => body.receive(largest))).to.equal(undefined);
    expect(largest).to.be.greaterThan(7 * MIB);
    close();
  });

  it('counts only the unread part of a stream', () => {
    const admission = admissionOf();
    const { body, close } = admission.admit(ARRIVAL, STREAM);
    const idleBytes = admission.heldBytes;
    for (let turn = 0; turn < 100; turn += 1) {
      body.announce(2 * MIB);
      body.receive(2 * MIB);
      body.keep(2 * MIB);
      body.forget(2 * MIB);
    }
    expect(admission.heldBytes).to.equal(idleBytes);
    close();
  });

  it('holds little for an open stream of short names', () => {
    const admission = admissionOf();
    const { body, close } = admission.receive(ARRIVAL, { ...STREAM, small: true });
    expect(admission.heldBytes).to.be.at.most(16 * 1024);
    body.announce(10);
    expect(admission.heldBytes).to.be.at.most(16 * 1024);
    close();
  });

  it('asks for the token first, then draining, the deadline, the queue, and memory last', () => {
    const callTracker = new CallTracker(pino({ level: 'silent' }));
    const overload = () => new InferenceError('QUEUE_FULL', 'the queue is full');
    const all = admissionOf({ callTracker, tokens: { allow: () => false } as never, overload, memoryBytes: 0 });
    const late = { ...ARRIVAL, timeoutMs: 0 };
    expect(codeOf(() => all.admit(late, UNARY))).to.equal('UNAUTHENTICATED');
    const open = admissionOf({ callTracker, overload, memoryBytes: 0 });
    expect(codeOf(() => open.admit(late, UNARY))).to.equal('DEADLINE_EXCEEDED');
    expect(() => open.admit(ARRIVAL, UNARY)).to.throw('the queue is full');
    const full = admissionOf({ callTracker, memoryBytes: 0 });
    expect(() => full.admit(ARRIVAL, UNARY)).to.throw(/memory/);
    full.close();
    callTracker.drain();
    expect(codeOf(() => open.admit(late, UNARY))).to.equal('DRAINING');
    const probe = all.admit({ ...late, skipAccessLog: true }, UNARY);
    expect(codeOf(() => probe.body.announce(MIB))).to.equal('MESSAGE_TOO_LARGE');
    probe.close();
  });

  it('reports when no calls are admitted, and when they are again', async () => {
    let told: (reason: string | undefined) => void = () => {};
    const admission = admissionOf({ fullMs: 5, refusing: (reason) => told(reason) });
    const next = () => new Promise<string | undefined>((resolve) => (told = resolve));
    const holder = admission.admit(ARRIVAL, UNARY);
    holder.answer(16 * MIB);
    const refused = next();
    expect(codeOf(() => admission.admit(ARRIVAL, UNARY))).to.equal('QUEUE_FULL');
    expect(await refused).to.match(/no memory for requests: calls hold 17 of 16 MiB/);
    const again = next();
    holder.close();
    expect(await again).to.equal(undefined);
    admission.close();
  });

  it('ends a call whose request arrives too slowly, and not one that keeps pace', async () => {
    const limits = { requestTimeoutMs: 400, requestGraceMs: 40 };
    const admission = admissionOf(limits);
    const slow = admission.admit(ARRIVAL, UNARY);
    const quick = admission.admit(ARRIVAL, UNARY);
    slow.body.announce(MIB);
    quick.body.announce(MIB);
    quick.body.receive(MIB);
    quick.body.keep(MIB);
    quick.body.end();
    slow.body.receive(1);
    const { signal } = slow.open.call;
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    expect(signal.reason).to.include({ code: 'DEADLINE_EXCEEDED' });
    expect(signal.reason.message).to.match(/too slowly: 1 of 1048576 bytes/);
    expect(quick.open.call.signal.aborted).to.equal(false);
    slow.close();
    quick.close();
  });

  it('ends a call whose request lacks a byte of what is due by now', async () => {
    const admission = admissionOf({ requestTimeoutMs: 10_000, requestGraceMs: 4 });
    const { now } = performance;
    let nowMs = 0;
    performance.now = () => nowMs;
    try {
      const calls = [
        { announced: 1000, due: 100 },
        { announced: undefined, due: 4095 },
      ].flatMap(({ announced, due }) =>
        [due, due - 1].map((received) => {
          const call = admission.admit(ARRIVAL, UNARY);
          if (announced !== undefined) call.body.announce(announced);
          call.body.receive(received);
          return call;
        }),
      );
      const signals = calls.map(({ open }) => open.call.signal);
      // A tenth of the time after the grace, which is about a second.
      nowMs = 4 + 999.6;
      await new Promise((resolve) => signals.at(-1)?.addEventListener('abort', resolve));
      expect(signals.map(({ aborted }) => aborted)).to.deep.equal([false, true, false, true]);
      for (const { close } of calls) close();
    } finally {
      performance.now = now;
    }
  });
});
