/** Log of the hub's requests for tests: counts, headers and sent bytes. */
import { EventEmitter, once } from 'node:events';

/** Kind of a request. `bytes`: file content, from the hub or the second server. */
export type RequestKind = 'info' | 'tree' | 'paths-info' | 'resolve' | 'bytes' | 'other';

export interface RequestRecord {
  readonly server: 'hub' | 'cdn';
  readonly method: string;
  /** Path with the query. */
  readonly url: string;
  readonly kind: RequestKind;
  readonly repository: string | undefined;
  readonly file: string | undefined;
  /** The Range header, if any. */
  readonly range: string | undefined;
  /** The Authorization header, if any. */
  readonly authorization: string | undefined;
  /** 0 until the head of the response is sent. */
  status: number;
  /** Bytes of the body written to the socket. */
  bytesSent: number;
}

/** A choice of requests; all given conditions must hold. */
export interface RequestFilter {
  /** `hub`: the API and resolve URLs. `cdn`: the second server, to which large files are redirected. */
  readonly server?: 'hub' | 'cdn';
  /** `info`, `tree` and `paths-info` are API calls; `resolve` is a file URL; `bytes` is any response with file content. */
  readonly kind?: RequestKind | readonly RequestKind[];
  readonly method?: 'GET' | 'HEAD' | 'POST';
  /** Path of the file in its repository, its name, or its extension with the dot. */
  readonly file?: string;
  /** `org/name`. */
  readonly repository?: string;
}

/** Requests since the start or the last `clear()`. */
export class RequestLog {
  readonly #records: RequestRecord[] = [];
  readonly #events = new EventEmitter().setMaxListeners(0);

  get all(): readonly RequestRecord[] {
    return this.#records;
  }

  get count(): number {
    return this.#records.length;
  }

  /** Total body bytes sent. */
  get bytesSent(): number {
    return this.#records.reduce((sum, record) => sum + record.bytesSent, 0);
  }

  filter(filter: RequestFilter): RequestRecord[] {
    return this.#records.filter((record) => matches(filter, record));
  }

  /** Resolves with the next matching request, once its head has arrived. */
  async next(filter: RequestFilter = {}, signal?: AbortSignal): Promise<RequestRecord> {
    for (;;) {
      const [record] = (await once(this.#events, 'request', { ...(signal && { signal }) })) as [RequestRecord];
      if (matches(filter, record)) return record;
    }
  }

  clear(): void {
    this.#records.length = 0;
  }

  /** Called by the servers. */
  add(record: RequestRecord): RequestRecord {
    this.#records.push(record);
    this.#events.emit('request', record);
    return record;
  }
}

/** Whether a filter chooses a request, which may be of more kinds than it is logged as. */
export function matches(
  filter: RequestFilter,
  record: RequestRecord,
  kinds: readonly string[] = [record.kind],
): boolean {
  return (
    (filter.server === undefined || filter.server === record.server) &&
    (filter.kind === undefined || [filter.kind].flat().some((kind) => kinds.includes(kind))) &&
    (filter.method === undefined || filter.method === record.method) &&
    (filter.file === undefined || isFile(filter.file, record.file)) &&
    (filter.repository === undefined || filter.repository === record.repository)
  );
}

/** Whether a pattern matches the path, the name or the extension (with the dot) of a file. */
function isFile(meant: string, path: string | undefined): boolean {
  if (path === undefined) return false;
  return path === meant || path.endsWith(`/${meant}`) || (meant.startsWith('.') && path.endsWith(meant));
}
