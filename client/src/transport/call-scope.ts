import { setMaxListeners } from 'node:events';
import { createError, InferenceClientError } from '../errors.js';
import { onAbort } from '../wait.js';

/**
 * The lifetime of one call. Its signal fires with the caller's signal and when the client is closed. Whoever opens a scope
 * must end it.
 */
export class CallScope {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #abort = () => this.#controller.abort(this.#outer?.reason);

  constructor(outer: AbortSignal | undefined) {
    this.#outer = outer;
    if (outer === undefined) return;
    // Many calls may share a signal. Each stops listening at its end, so their number is no leak, of which Node.js would warn.
    if (outer instanceof EventTarget) setMaxListeners(0, outer);
    onAbort(outer, this.#abort);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Aborts the call with `reason`. */
  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  /** Stops listening to the caller's signal. Idempotent. */
  end(): void {
    this.#outer?.removeEventListener('abort', this.#abort);
  }

  /** Returns the error of a call whose signal has fired. */
  error(method: string): InferenceClientError {
    const { reason } = this.signal;
    if (reason instanceof InferenceClientError) return reason;
    return createError('CANCELLED', `${method} was cancelled by its caller`, {
      reason: 'ABORTED',
      method,
      cause: reason,
    });
  }
}

/** The open calls, for close(). */
export class OpenCalls {
  readonly #scopes = new Set<CallScope>();
  #closed = false;

  /** Throws InferenceClientError UNAVAILABLE, reason CLOSED, after close(). */
  open(signal: AbortSignal | undefined): CallScope {
    if (this.#closed) throw closed();
    const scope = new CallScope(signal);
    this.#scopes.add(scope);
    return scope;
  }

  end(scope: CallScope): void {
    scope.end();
    this.#scopes.delete(scope);
  }

  /** Fails every open call. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const scope of this.#scopes) scope.abort(closed());
  }
}

function closed(): InferenceClientError {
  return createError('UNAVAILABLE', 'the client was closed', { reason: 'CLOSED' });
}
