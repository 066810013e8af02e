/** One request and its response, with logging, faults and HTTP helpers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FaultAction, FaultList } from './faults.js';
import type { RequestKind, RequestLog, RequestRecord } from './request-log.js';

export interface ExchangeContext {
  readonly server: 'hub' | 'cdn';
  readonly faults: FaultList;
  readonly log: RequestLog;
  readonly signal: AbortSignal;
}

export interface RequestAbout {
  readonly kind: RequestKind;
  readonly repository?: string | undefined;
  readonly file?: string | undefined;
}

export class Exchange {
  readonly #record: RequestRecord;
  readonly #kinds: readonly RequestKind[];

  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly context: ExchangeContext,
    about: RequestAbout,
  ) {
    const { range, authorization } = request.headers;
    this.#kinds = about.kind === 'bytes' && context.server === 'hub' ? ['resolve', 'bytes'] : [about.kind];
    this.#record = context.log.add({
      server: context.server,
      method: request.method ?? '',
      url: request.url ?? '',
      kind: about.kind,
      repository: about.repository,
      file: about.file,
      range,
      authorization,
      status: 0,
      bytesSent: 0,
    });
  }

  get headOnly(): boolean {
    return this.request.method === 'HEAD';
  }

  /** Returns the token of an `Authorization: Bearer` header. */
  get token(): string | undefined {
    return /^Bearer (.+)$/.exec(this.request.headers.authorization ?? '')?.[1];
  }

  /** Returns the faults of these types that apply to this request. */
  faults<const Type extends FaultAction['type']>(
    types: readonly Type[],
    accept?: (action: Extract<FaultAction, { type: Type }>) => boolean,
  ): Extract<FaultAction, { type: Type }>[] {
    return this.context.faults.take(this.#record, this.#kinds, types, accept);
  }

  /** Returns how many bytes larger than it is every file is to be reported. */
  lie(): number {
    return this.faults(['lie-size']).reduce((sum, { deltaBytes }) => sum + deltaBytes, 0);
  }

  /** Applies the faults that precede the response. Returns false if they handled the request. */
  async begin(): Promise<boolean> {
    for (const { until } of this.faults(['delay'])) await until;
    if (this.faults(['refuse']).length > 0) {
      this.request.socket.destroy();
      return false;
    }
    if (this.faults(['silence']).length > 0) return false;
    for (const { status, headers = {}, body = '' } of this.faults(['status'])) {
      this.send(status, { 'content-type': 'text/plain', ...headers }, body);
      return false;
    }
    for (const { location, status = 302 } of this.faults(['redirect'])) {
      this.send(status, { location }, '');
      return false;
    }
    return true;
  }

  /** Sends the head of the response. */
  head(status: number, headers: Readonly<Record<string, string | number>>): void {
    this.#record.status = status;
    this.response.writeHead(status, headers);
  }

  /** Records sent bytes of the body. */
  sent(bytes: number): void {
    this.#record.bytesSent += bytes;
  }

  /** Sends a complete response. */
  send(status: number, headers: Readonly<Record<string, string | number>>, body: string): void {
    const bytes = Buffer.from(body);
    this.head(status, { 'content-length': bytes.length, ...headers });
    if (this.headOnly) {
      this.response.end();
      return;
    }
    this.sent(bytes.length);
    this.response.end(bytes);
  }

  json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): void {
    this.send(status, { 'content-type': 'application/json; charset=utf-8', ...headers }, JSON.stringify(value));
  }

  /** Sends an error as the real hub does, in two headers and the body. */
  error(
    status: number,
    code: string | undefined,
    message: string,
    headers: Readonly<Record<string, string>> = {},
  ): void {
    const named = code === undefined ? {} : { 'x-error-code': code };
    this.json(status, { error: message }, { ...named, 'x-error-message': message, ...headers });
  }
}
