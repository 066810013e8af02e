/**
 * What can go wrong between a hub and a client, as small parts that can be put together: each fault says which answers
 * it touches, how often, and what it does to them. Several that match one request all apply.
 */
import { isFile, type RequestKind } from './request-log.js';

/** What a fault does to an answer. Byte positions are positions in the file, whatever range was asked for. */
export type FaultAction =
  /** Answers with this status instead: 429, 503, 403, ... */
  | {
      readonly type: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** Closes the connection before any answer. */
  | { readonly type: 'refuse' }
  /** Takes the request and never answers. */
  | { readonly type: 'silence' }
  /** Waits before the answer's head. */
  | { readonly type: 'delay'; readonly delayMs: number }
  /** Sends the bytes before `atByte`, then nothing more; the connection stays open. */
  | { readonly type: 'stall'; readonly atByte: number }
  /** Sends the bytes before `atByte`, then cuts the connection. */
  | { readonly type: 'drop'; readonly atByte: number }
  /** Sends this byte with one bit turned. */
  | { readonly type: 'flip'; readonly atByte: number }
  /** Ends the body cleanly `missingBytes` early, with a Content-Length that agrees with what is sent. */
  | { readonly type: 'truncate'; readonly missingBytes: number }
  /** Says that the file is this much larger (or smaller, below 0), in the file list and in every header. */
  | { readonly type: 'lie-size'; readonly deltaBytes: number }
  /** Answers a Range request with 200 and the whole file. */
  | { readonly type: 'ignore-range' }
  /** Treats the signed address as expired: 403, as the storage behind the real hub answers. */
  | { readonly type: 'expire' }
  /** Sends parts with a pause between them: slow, but steady. */
  | { readonly type: 'slow'; readonly partBytes: number; readonly pauseMs: number }
  /** Redirects to this address first. */
  | { readonly type: 'redirect'; readonly location: string; readonly status?: number };

/** Which requests a fault touches; all that is given must hold. */
export interface FaultMatch {
  /** `hub`: the API and resolve addresses. `cdn`: the second server, that large files are redirected to. */
  readonly server?: 'hub' | 'cdn';
  /** `info`, `tree` and `paths-info` are API calls; `resolve` is a file's address; `bytes` is any answer with a file's bytes. */
  readonly kind?: RequestKind | readonly RequestKind[];
  readonly method?: 'GET' | 'HEAD' | 'POST';
  /** The file's path in its repository, its name, or its ending from a dot on. */
  readonly file?: string;
  /** `org/name`. */
  readonly repository?: string;
}

export interface Fault {
  readonly on: FaultMatch;
  readonly do: FaultAction;
  /** How many requests it touches, then it is over. Default: every one. */
  readonly times?: number;
  /** How many matching requests pass untouched before. Default 0. */
  readonly after?: number;
}

/** What a fault is held against. */
export interface FaultSubject {
  readonly server: 'hub' | 'cdn';
  readonly kinds: readonly RequestKind[];
  readonly method: string;
  readonly file: string | undefined;
  readonly repository: string | undefined;
}

/** The faults in force. Made by startHub; tests add and remove faults while the hub runs. */
export class FaultList {
  readonly #faults = new Set<{ readonly fault: Fault; matched: number; applied: number }>();

  constructor(faults: readonly Fault[] = []) {
    this.add(...faults);
  }

  /** Adds faults; the function that comes back removes them again. */
  add(...faults: readonly Fault[]): () => void {
    const added = faults.map((fault) => ({ fault, matched: 0, applied: 0 }));
    for (const item of added) this.#faults.add(item);
    return () => {
      for (const item of added) this.#faults.delete(item);
    };
  }

  /** Removes all. */
  clear(): void {
    this.#faults.clear();
  }

  /** The actions that apply to a request now, of the types asked for; counts them as used. */
  take<const Type extends FaultAction['type']>(
    subject: FaultSubject,
    types: readonly Type[],
    accept: (action: Extract<FaultAction, { type: Type }>) => boolean = () => true,
  ): Extract<FaultAction, { type: Type }>[] {
    const actions: Extract<FaultAction, { type: Type }>[] = [];
    for (const item of this.#faults) {
      const { fault } = item;
      const action = fault.do;
      if (!isOfType(action, types) || !matches(fault.on, subject) || !accept(action)) continue;
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

function matches(on: FaultMatch, subject: FaultSubject): boolean {
  const kinds = on.kind === undefined ? undefined : [on.kind].flat();
  return (
    (on.server === undefined || on.server === subject.server) &&
    (kinds === undefined || kinds.some((kind) => subject.kinds.includes(kind))) &&
    (on.method === undefined || on.method === subject.method) &&
    (on.file === undefined || isFile(on.file, subject.file)) &&
    (on.repository === undefined || on.repository === subject.repository)
  );
}
