/** After a stall, what the peer did meanwhile is read within this time. */
const AFTER_STALL_MS = 1000;
/** A timer that fires later than this fires after a stall of this process: a busy thread, SIGSTOP, a paused container, a suspended machine. */
const STALL_MS = 100;

/**
 * The timeout of a peer that does nothing. Timers run before sockets are read: after a stall it would expire although the peer's data has
 * arrived, so it waits until that is read.
 */
export class IdleTimer {
  readonly #ms: number;
  readonly #expired: () => void;
  #timer: NodeJS.Timeout;

  /** Starts at once. */
  constructor(ms: number, expired: () => void) {
    this.#ms = ms;
    this.#expired = expired;
    this.#timer = this.#start(ms);
  }

  /** The peer did something: the whole time starts again. */
  refresh(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#start(this.#ms);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }

  #start(ms: number): NodeJS.Timeout {
    const dueAtMs = performance.now() + ms;
    return setTimeout(() => {
      if (performance.now() - dueAtMs <= STALL_MS) this.#expired();
      else this.#timer = this.#start(Math.min(this.#ms, AFTER_STALL_MS));
    }, ms);
  }
}
