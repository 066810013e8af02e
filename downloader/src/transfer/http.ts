import { type ClientRequest, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { isIP, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { checkServerIdentity } from 'node:tls';
import { KIB } from '@heimdex/common';
import type { HttpsOptions } from 'got';
import { type ConnectionOptions, connectionError, proxyError, stallError, throughProxy } from './connection-errors.js';
import type { NetworkState } from './network-state.js';
import { ProxyRefusal, proxyAgents } from './proxy.js';

/** An answer with an unread body. Read `body` to its end or call `close()`. */
export interface HttpAnswer {
  readonly url: URL;
  /** For messages: the host, and the proxy of an http address, which may have answered itself. */
  readonly from: string;
  readonly status: number;
  /** Returns a header by its lower-case name; the first if it is repeated. */
  header(name: string): string | undefined;
  /**
   * The raw bytes. The next chunk is requested once the previous one is processed, so a slow disk slows the sender and is
   * never mistaken for a stall.
   */
  readonly body: AsyncIterable<Buffer>;
  /** Closes the connection if it is still busy. Idempotent. */
  close(): void;
}

/** Sends one GET request, without redirects and retries: the caller decides about those. */
export interface HttpClient {
  /**
   * Throws TransientError if the connection fails or stalls.
   * Throws DownloaderError UNREACHABLE if a retry cannot succeed, as with an unknown certificate.
   */
  get(url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<HttpAnswer>;
  /** Closes idle connections. Idempotent. */
  close(): void;
}

/** Connection options. */
export interface HttpOptions extends ConnectionOptions {
  /** Maximum concurrent connections per host. */
  readonly connections: number;
  readonly userAgent: string;
  /** Notified of answers and received bytes of any host. */
  readonly network: NetworkState;
}

/** Maximum size of an answer's headers. Node.js' own limit is 16 KiB. */
const MAX_HEADER_BYTES = 64 * KIB;

/**
 * Opens the HTTP client. got is imported here, so that a run without requests does not load it. Its retries and timeouts are
 * off: a retry continues a part from its last byte and counts failures without progress (retry.ts), and got's socket timeout
 * would count the time that a slow disk takes as a stall of the sender.
 */
export async function openHttp(options: HttpOptions): Promise<HttpClient> {
  const { got } = await import('got');
  const settings = { keepAlive: true, maxSockets: options.connections, maxFreeSockets: options.connections };
  const direct = { http: new HttpAgent(settings), https: new HttpsAgent(settings) };
  const agents = proxyAgents(options.proxyFor, direct, settings);

  return {
    async get(url, headers, signal) {
      const agent = await agents.for(url);
      for (;;) {
        signal.throwIfAborted();
        const stream = got.stream(url, {
          headers: { 'user-agent': options.userAgent, 'accept-encoding': 'identity', ...headers },
          agent,
          https: identityOf(url),
          followRedirect: false,
          throwHttpErrors: false,
          decompress: false,
          retry: { limit: 0 },
          maxHeaderSize: MAX_HEADER_BYTES,
        });
        const body = new WatchedBody(stream, url, options, signal, agents.abandon);
        const answer = await body.answer().catch((error: unknown) => {
          if (!body.wasStale) throw error;
        });
        // The next one of the kept connections may be closed as well, and after the last one a new connection is opened.
        if (answer === undefined) continue;
        options.network.onAnswer();
        const proxy = options.proxyFor(url);
        if (answer.status !== 407 || proxy === undefined) return answer;
        answer.close();
        throw proxyError(url, new ProxyRefusal(proxy, 407, answer.header('proxy-authenticate')));
      }
    },
    close() {
      agents.close();
    },
  };
}

/**
 * Returns the name that the certificate must have. A host name is sent as SNI and compared by default; an IP address cannot be
 * sent, and the proxy agent would then compare with localhost.
 */
function identityOf(url: URL): HttpsOptions {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return isIP(host) === 0
    ? {}
    : { checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate) };
}

interface ResponseHead {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Connections on which an answer has come. Node.js says so of a request, as reusedSocket, only if it did not have to wait for one. */
const answered = new WeakSet<Socket>();

/** One request's stream with a watchdog: every network wait ends at the stall limit or by the signal. */
class WatchedBody {
  #failure: Error | undefined;
  #waiting = false;
  #request: ClientRequest | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(
    readonly stream: Readable,
    readonly url: URL,
    readonly options: Omit<HttpOptions, 'connections' | 'userAgent'>,
    readonly signal: AbortSignal,
    abandon: (request: ClientRequest) => void,
  ) {
    const { stallMs } = options;
    this.#timer = setTimeout(() => {
      if (this.#waiting) this.#fail(stallError(url, options));
    }, stallMs);
    signal.addEventListener('abort', this.#abort, { once: true });
    stream.once('request', (request: ClientRequest) => {
      this.#request = request;
    });
    stream.once('close', () => {
      this.#release();
      if (this.#request !== undefined) abandon(this.#request);
    });
  }

  /** Whether a request without an answer failed on a connection kept from an earlier one: the other end has closed it in between. */
  get wasStale(): boolean {
    const { socket } = this.#request ?? {};
    return socket != null && answered.has(socket) && this.#failure === undefined;
  }

  async answer(): Promise<HttpAnswer> {
    const head = await this.#watched(
      new Promise<ResponseHead>((resolve, reject) => {
        this.stream.once('response', resolve);
        this.stream.on('error', reject);
      }),
    );
    if (this.#request?.socket != null) answered.add(this.#request.socket);
    const { url, stream } = this;
    const proxy = url.protocol === 'http:' ? this.options.proxyFor(url) : undefined;
    return {
      url,
      from: `${url.host}${throughProxy(proxy)}`,
      status: head.statusCode,
      header(name) {
        const value = head.headers[name];
        return Array.isArray(value) ? value[0] : value;
      },
      body: this.#parts(),
      close: () => {
        this.#release();
        stream.destroy();
      },
    };
  }

  async *#parts(): AsyncGenerator<Buffer> {
    const iterator = this.stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    try {
      for (;;) {
        const next = await this.#watched(iterator.next());
        if (next.done === true) return;
        this.options.network.onProgress();
        yield next.value;
      }
    } finally {
      this.#release();
      this.stream.destroy();
    }
  }

  /** Awaits `pending`; a stall or the signal destroys the stream, which makes `pending` reject. */
  async #watched<T>(pending: Promise<T>): Promise<T> {
    this.#waiting = true;
    this.#timer.refresh();
    try {
      return await pending;
    } catch (error) {
      throw this.#failure ?? connectionError(this.url, this.options, error);
    } finally {
      this.#waiting = false;
    }
  }

  readonly #abort = (): void => {
    this.#fail(this.signal.reason instanceof Error ? this.signal.reason : new Error('aborted'));
  };

  #fail(error: Error): void {
    this.#failure ??= error;
    this.stream.destroy(error);
  }

  #release(): void {
    clearTimeout(this.#timer);
    this.signal.removeEventListener('abort', this.#abort);
  }
}
