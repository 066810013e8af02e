/** What was asked of the hub, for tests: how often, with which headers, how many bytes went out. */
import { EventEmitter, once } from 'node:events';

/** What a request asks for. `bytes`: an answer with a file's bytes, from the hub or the second server. */
export type RequestKind = 'info' | 'tree' | 'paths-info' | 'resolve' | 'bytes' | 'other';

export interface RequestRecord {
  readonly server: 'hub' | 'cdn';
  readonly method: string;
  /** Path with its query. */
  readonly url: string;
  readonly kind: RequestKind;
  readonly repository: string | undefined;
  readonly file: string | undefined;
  /** The Range header, if any. */
  readonly range: string | undefined;
  /** The Authorization header, if any. */
  readonly authorization: string | undefined;
  readonly userAgent: string | undefined;
  /** 0 until the answer's head went out, and for ever when none did. */
  status: number;
  /** Bytes of the body that were handed to the socket. */
  bytesSent: number;
  /** Whether the answer is over, in whatever way. */
  ended: boolean;
}

export interface RequestFilter {
  readonly server?: 'hub' | 'cdn';
  readonly kind?: RequestKind;
  readonly method?: string;
  /** The file's path in its repository, its name, or its ending from a dot on. */
  readonly file?: string;
}

/** All requests since the start or the last `clear()`. */
export class RequestLog {
  readonly #records: RequestRecord[] = [];
  readonly #events = new EventEmitter().setMaxListeners(0);

  get all(): readonly RequestRecord[] {
    return this.#records;
  }

  get count(): number {
    return this.#records.length;
  }

  /** Bytes of bodies sent in all. */
  get bytesSent(): number {
    return this.#records.reduce((sum, record) => sum + record.bytesSent, 0);
  }

  filter(filter: RequestFilter): RequestRecord[] {
    return this.#records.filter((record) => matches(record, filter));
  }

  /** The next request that fits, once its head has arrived. */
  async next(filter: RequestFilter = {}, signal?: AbortSignal): Promise<RequestRecord> {
    for (;;) {
      const [record] = (await once(this.#events, 'request', { ...(signal && { signal }) })) as [RequestRecord];
      if (matches(record, filter)) return record;
    }
  }

  clear(): void {
    this.#records.length = 0;
  }

  /** For the servers. */
  add(record: RequestRecord): RequestRecord {
    this.#records.push(record);
    this.#events.emit('request', record);
    return record;
  }
}

function matches(record: RequestRecord, filter: RequestFilter): boolean {
  return (
    (filter.server === undefined || filter.server === record.server) &&
    (filter.kind === undefined || filter.kind === record.kind) &&
    (filter.method === undefined || filter.method === record.method) &&
    (filter.file === undefined || isFile(filter.file, record.file))
  );
}

/** Whether a file is meant by its path, by its name, or by its ending (which starts with a dot). */
export function isFile(meant: string, path: string | undefined): boolean {
  if (path === undefined) return false;
  return path === meant || path.endsWith(`/${meant}`) || (meant.startsWith('.') && path.endsWith(meant));
}
