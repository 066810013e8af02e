/**
 * Composable faults of a hub and its network. Each fault defines which responses it affects, how often and how. All faults
 * that match a request apply.
 */
import { matches, type RequestFilter, type RequestRecord } from './request-log.js';

/** Effect of a fault on a response. Byte positions refer to the file, not to the requested range. */
export type FaultAction =
  /** Responds with this status instead: 429, 503, 403, ... */
  | {
      readonly type: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** Closes the connection without a response. */
  | { readonly type: 'refuse' }
  /** Never responds. */
  | { readonly type: 'silence' }
  /** Delays the head of the response until this has happened. */
  | { readonly type: 'delay'; readonly until: Promise<unknown> }
  /** Sends the bytes before `atByte`, then nothing more; the connection stays open. */
  | { readonly type: 'stall'; readonly atByte: number }
  /** Sends the bytes before `atByte`, then closes the connection. */
  | { readonly type: 'drop'; readonly atByte: number }
  /** Sends this byte with one bit flipped. */
  | { readonly type: 'flip'; readonly atByte: number }
  /** Ends the body `missingBytes` early, with a matching Content-Length. */
  | { readonly type: 'truncate'; readonly missingBytes: number }
  /** Reports the file as larger (or smaller, if negative) by this many bytes, in the file list and every header. */
  | { readonly type: 'lie-size'; readonly deltaBytes: number }
  /** Responds to a Range request with 200 and the complete file. */
  | { readonly type: 'ignore-range' }
  /** Treats the signed URL as expired: 403, as the storage of the real hub does. */
  | { readonly type: 'expire' }
  /** Sends parts with pauses: slow but steady. */
  | { readonly type: 'slow'; readonly partBytes: number; readonly pauseMs: number }
  /** Redirects to this URL first. */
  | { readonly type: 'redirect'; readonly location: string; readonly status?: number };

export interface Fault {
  /** The affected requests. */
  readonly on: RequestFilter;
  readonly do: FaultAction;
  /** Maximum number of affected requests. Default: unlimited. */
  readonly times?: number;
  /** Number of matching requests to leave unaffected first. Default 0. */
  readonly after?: number;
}

/** Active faults of a hub. Tests add and remove faults while the hub runs. */
export class FaultList {
  readonly #faults = new Set<{ readonly fault: Fault; matched: number; applied: number }>();

  constructor(faults: readonly Fault[] = []) {
    this.add(...faults);
  }

  /** Adds faults and returns a function that removes them. */
  add(...faults: readonly Fault[]): () => void {
    const added = faults.map((fault) => ({ fault, matched: 0, applied: 0 }));
    for (const item of added) this.#faults.add(item);
    return () => {
      for (const item of added) this.#faults.delete(item);
    };
  }

  /** Removes all faults. */
  clear(): void {
    this.#faults.clear();
  }

  /** Returns the actions of the given types that apply to a request of these kinds, and counts them as used. */
  take<const Type extends FaultAction['type']>(
    request: RequestRecord,
    kinds: readonly string[],
    types: readonly Type[],
    accept: (action: Extract<FaultAction, { type: Type }>) => boolean = () => true,
  ): Extract<FaultAction, { type: Type }>[] {
    const actions: Extract<FaultAction, { type: Type }>[] = [];
    for (const item of this.#faults) {
      const { fault } = item;
      const action = fault.do;
      if (!isOfType(action, types) || !matches(fault.on, request, kinds) || !accept(action)) continue;
      item.matched += 1;
      if (item.matched <= (fault.after ?? 0) || item.applied >= (fault.times ?? Number.POSITIVE_INFINITY)) continue;
      item.applied += 1;
      actions.push(action);
    }
    return actions;
  }
}

function isOfType<const Type extends FaultAction['type']>(
  action: FaultAction,
  types: readonly Type[],
): action is Extract<FaultAction, { type: Type }> {
  return types.some((type) => type === action.type);
}
