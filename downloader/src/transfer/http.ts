import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { isIP } from 'node:net';
import type { Readable } from 'node:stream';
import { checkServerIdentity } from 'node:tls';
import type { HttpsOptions } from 'got';
import { DownloaderError, errorMessage, systemCode } from '../errors.js';
import type { ProxyFor } from './proxy.js';
import { proxyAgents } from './proxy.js';
import { type FirstContact, isUnreached, TransientError } from './retry.js';

/** An answer whose body has not been read. Read `body` to its end or call `close()`. */
export interface HttpAnswer {
  readonly url: URL;
  readonly status: number;
  /** A header by lower-case name; of a repeated one, the first. */
  header(name: string): string | undefined;
  /**
   * The bytes as they came. The next part is asked for when the one before has been dealt with, so a slow disk slows
   * the sender and is never taken for a stall.
   */
  readonly body: AsyncIterable<Buffer>;
  /** Ends the connection if it is still busy. Idempotent. */
  close(): void;
}

/** One GET request, without redirects and without retries: those are decisions of the caller. */
export interface HttpClient {
  /**
   * @throws TransientError when the connection fails or stays silent too long.
   * @throws DownloaderError UNREACHABLE when it cannot succeed later either, such as an unknown certificate.
   */
  get(url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<HttpAnswer>;
  /** Ends idle connections. Idempotent. */
  close(): void;
}

/** How connections are made. */
export interface HttpOptions {
  /** No byte, header or handshake for this long is a stall. */
  readonly stallMs: number;
  /** Connections to one host at once. */
  readonly connections: number;
  readonly proxyFor: ProxyFor;
  readonly userAgent: string;
  /** Told when anybody answers. */
  readonly contact: FirstContact;
}

/** Answers of the TLS layer that no retry mends. */
const CERTIFICATE_CODES = new Set([
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Opens the HTTP client. got is loaded here and not before, so that a run without requests does not pay for it. */
export async function openHttp(options: HttpOptions): Promise<HttpClient> {
  const { got } = await import('got');
  const settings = { keepAlive: true, maxSockets: options.connections, maxFreeSockets: options.connections };
  const direct = { http: new HttpAgent(settings), https: new HttpsAgent(settings) };
  const agents = proxyAgents(options.proxyFor, direct, settings);

  return {
    async get(url, headers, signal) {
      signal.throwIfAborted();
      const stream = got.stream(url, {
        headers: { 'user-agent': options.userAgent, 'accept-encoding': 'identity', ...headers },
        agent: await agents.for(url),
        https: identityOf(url),
        followRedirect: false,
        throwHttpErrors: false,
        decompress: false,
        retry: { limit: 0 },
      });
      const body = new WatchedBody(stream, url, options.stallMs, signal);
      const answer = await body.answer();
      options.contact.made();
      return answer;
    },
    close() {
      agents.close();
    },
  };
}

/**
 * Who must be named in the certificate. A name is sent along and compared by itself; a number cannot be sent, and the agent
 * of proxies then compares with localhost.
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

/** One request's stream with a watch on it: every wait for the network ends at the stall limit or by the signal. */
class WatchedBody {
  #failure: Error | undefined;
  #waiting = false;
  readonly #timer: NodeJS.Timeout;

  constructor(
    readonly stream: Readable,
    readonly url: URL,
    stallMs: number,
    readonly signal: AbortSignal,
  ) {
    this.#timer = setTimeout(() => {
      if (this.#waiting) this.#fail(stallError(url, stallMs));
    }, stallMs);
    signal.addEventListener('abort', this.#abort, { once: true });
    stream.once('close', () => this.#release());
  }

  async answer(): Promise<HttpAnswer> {
    const head = await this.#watched(
      new Promise<ResponseHead>((resolve, reject) => {
        this.stream.once('response', resolve);
        this.stream.on('error', reject);
      }),
    );
    const { url, stream } = this;
    return {
      url,
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
        yield next.value;
      }
    } finally {
      this.#release();
      this.stream.destroy();
    }
  }

  /** Waits for `pending`; silence or the signal destroys the stream, which makes `pending` fail. */
  async #watched<T>(pending: Promise<T>): Promise<T> {
    this.#waiting = true;
    this.#timer.refresh();
    try {
      return await pending;
    } catch (error) {
      throw this.#failure ?? connectionError(this.url, error);
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

function stallError(url: URL, stallMs: number): TransientError {
  return new TransientError(
    new DownloaderError(
      'STALLED',
      `${url.host} sent no byte for ${stallMs / 1000} s. Run the command again to continue; DOWNLOAD_STALL_SECONDS sets the limit.`,
    ),
  );
}

function connectionError(url: URL, error: unknown): Error {
  const code = systemCode(error);
  if (code !== undefined && CERTIFICATE_CODES.has(code)) {
    return new DownloaderError(
      'UNREACHABLE',
      `The certificate of ${url.host} is not trusted (${code}). If it was issued by your own authority, name its file: NODE_EXTRA_CA_CERTS=/path/ca.pem heimdex-downloader download`,
      { cause: error },
    );
  }
  return new TransientError(
    new DownloaderError(
      'UNREACHABLE',
      `${url.host} cannot be reached or broke the connection (${code ?? errorMessage(error)}). Check the network, HF_ENDPOINT and the proxy variables, then run the command again: it continues where it stopped.`,
      { cause: error },
    ),
    undefined,
    isUnreached(code),
  );
}
