/** What is decided of a call before its body is read: whether it may come in at all. */
import { InferenceError } from '../errors.js';
import type { Tokens } from './tokens.js';

export interface GateOptions {
  /** Undefined: everybody may. */
  readonly tokens: Tokens | undefined;
  /** The serving process is refused more work while it has more memory than this. */
  readonly maxMemoryBytes: number;
  /** Resident memory of this process. */
  memoryBytes(): number;
  /** Why a call of this path would be refused whatever it asks, or undefined. */
  overload?(path: string): InferenceError | undefined;
}

/** Paths below these stay open without a token: an orchestrator's probes have none. */
const OPEN_PREFIXES = ['grpc.health.v1.Health/'];

/** Memory is looked at so often at most: the look is a system call. */
const LOOK_EVERY_MS = 250;
const RETRY_MS = 1000;

export class Gate {
  readonly #options: GateOptions;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #full = false;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Why a call may not come in, or undefined. `path` is without a leading slash. */
  refuse(path: string, authorization: string | undefined): InferenceError | undefined {
    if (OPEN_PREFIXES.some((prefix) => path.startsWith(prefix))) return undefined;
    if (this.#options.tokens?.allow(authorization) === false) {
      return new InferenceError(
        'UNAUTHENTICATED',
        'Expected `authorization: Bearer <token>` with a token of this server.',
      );
    }
    if (!this.#memoryIsFull()) return undefined;
    return new InferenceError(
      'QUEUE_FULL',
      'The server holds as many requests as its memory allows. Come back later.',
      {
        retryAfterMs: RETRY_MS,
      },
    );
  }

  /** Why a call of this path would be refused whatever it asks, or undefined: known before its body is read. */
  overload(path: string): InferenceError | undefined {
    return this.#options.overload?.(path);
  }

  #memoryIsFull(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#lookedAtMs >= LOOK_EVERY_MS) {
      this.#lookedAtMs = nowMs;
      this.#full = this.#options.memoryBytes() > this.#options.maxMemoryBytes;
    }
    return this.#full;
  }
}
