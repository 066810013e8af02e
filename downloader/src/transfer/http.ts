import { type ClientRequest, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { isIP } from 'node:net';
import type { Readable } from 'node:stream';
import { checkServerIdentity } from 'node:tls';
import { hasCredentials } from '@heimdex/cache';
import { codeOf, KIB, messageOf } from '@heimdex/common';
import type { HttpsOptions } from 'got';
import { DownloaderError } from '../errors.js';
import { isUnreached, type NetworkState } from './network-state.js';
import type { ProxyFor } from './proxy.js';
import { ProxyRefusal, proxyAgents } from './proxy.js';
import { mayPass, TransientError } from './retry.js';

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
export interface HttpOptions {
  /** No byte, header or handshake for this long is a stall. */
  readonly stallMs: number;
  /** Maximum concurrent connections per host. */
  readonly connections: number;
  readonly proxyFor: ProxyFor;
  /** The variable whose file of certificates NODE_EXTRA_CA_CERTS is advised to name. */
  readonly certificateVariable: string | undefined;
  readonly userAgent: string;
  /** Notified of answers and received bytes of any host. */
  readonly network: NetworkState;
}

/** TLS errors that no retry fixes: of a certificate whose authority is not known here, */
const AUTHORITY_CODES = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);
/** of one that a wrong clock may make invalid, */
const CLOCK_CODES = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);
/** and of one that is wrong itself. `UNSPECIFIED` stands for whatever Node.js has no code of its own for, such as a short key. */
const WRONG_CODES = new Set([
  'CERT_CHAIN_TOO_LONG',
  'CERT_REJECTED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'UNSPECIFIED',
]);
/** The error of OpenSSL for an answer that is not TLS, such as that of an http server. */
const NO_TLS = /wrong version number/i;
/** What OpenSSL says of any other handshake that fails; its code, EPROTO, is the same for most. */
const TLS_REASON = /:SSL routines:[^:]*:([^:]+)/;
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
    return this.#request?.reusedSocket === true && this.#failure === undefined;
  }

  async answer(): Promise<HttpAnswer> {
    const head = await this.#watched(
      new Promise<ResponseHead>((resolve, reject) => {
        this.stream.once('response', resolve);
        this.stream.on('error', reject);
      }),
    );
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

function stallError(url: URL, { stallMs, proxyFor }: Pick<HttpOptions, 'stallMs' | 'proxyFor'>): TransientError {
  return new TransientError(
    new DownloaderError(
      'STALLED',
      `${url.host}${throughProxy(proxyFor(url))} sent no byte for ${stallMs / 1000} s. Run the command again to resume; DOWNLOAD_STALL_SECONDS sets the limit.`,
    ),
  );
}

function connectionError(
  url: URL,
  { proxyFor, certificateVariable }: Pick<HttpOptions, 'proxyFor' | 'certificateVariable'>,
  error: unknown,
): Error {
  const proxy = proxyFor(url);
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof ProxyRefusal) return proxyError(url, cause);
  const code = codeOf(error);
  const advice = certificateAdvice(code, certificateVariable);
  if (advice !== undefined) {
    const whose = proxy?.protocol === 'https:' ? `${url.host}, or of the proxy ${proxy.host},` : url.host;
    const reason = code !== undefined && WRONG_CODES.has(code) ? `${code}: ${messageOf(error)}` : code;
    return new DownloaderError('UNREACHABLE', `The certificate of ${whose} is not trusted (${reason}). ${advice}`, {
      cause: error,
    });
  }
  const way = throughProxy(proxy);
  if (NO_TLS.test(messageOf(error))) {
    return new DownloaderError(
      'UNREACHABLE',
      `${url.host} was asked${way} over TLS and answered without it. Write http:// instead of https:// where it has no TLS: check HF_ENDPOINT and the proxy variables, then run: heimdex-downloader download`,
      { cause: error },
    );
  }
  if (code?.startsWith('HPE_') === true) {
    return new TransientError(
      new DownloaderError(
        'ANSWER_INVALID',
        `${url.host}${way} sent an answer that is not valid HTTP/1.1 (${code}). Check HF_ENDPOINT and the proxy variables, then run: heimdex-downloader download`,
        { cause: error },
      ),
    );
  }
  const reason = TLS_REASON.exec(messageOf(error))?.[1] ?? code ?? messageOf(error);
  return new TransientError(
    new DownloaderError(
      'UNREACHABLE',
      `${url.host} cannot be reached${way} or closed the connection (${reason}). Check the network, HF_ENDPOINT and the proxy variables, then run the command again: it resumes where it stopped.`,
      { cause: error },
    ),
    undefined,
    isUnreached(code) ? 'unreached' : undefined,
  );
}

function certificateAdvice(code = '', variable = 'NODE_EXTRA_CA_CERTS'): string | undefined {
  if (AUTHORITY_CODES.has(code)) {
    const path = variable === 'NODE_EXTRA_CA_CERTS' ? '/path/ca.pem' : `"$${variable}"`;
    return `If it was issued by your own authority, add its file: NODE_EXTRA_CA_CERTS=${path} heimdex-downloader download`;
  }
  if (CLOCK_CODES.has(code)) {
    return "Check this machine's clock and the certificate, then run: heimdex-downloader download";
  }
  if (WRONG_CODES.has(code)) {
    return 'Whoever runs that host, or the proxy on the way that decrypts TLS, has to issue a valid one. Then run: heimdex-downloader download';
  }
  return undefined;
}

function throughProxy(proxy: URL | undefined): string {
  return proxy === undefined ? '' : ` through the proxy ${proxy.host}`;
}

function proxyError(url: URL, cause: ProxyRefusal): Error {
  const { proxy, status } = cause;
  // Tinyproxy answers 401 to a wrong password.
  const login = status === 407 || status === 401 ? ` ${loginAdvice(cause)}` : '';
  const error = new DownloaderError(
    'UNREACHABLE',
    `The proxy ${proxy.host} does not connect to ${url.host} (${status}).${login} Check the proxy variables, or add ${url.hostname} to NO_PROXY, then run: heimdex-downloader download`,
    { cause },
  );
  return mayPass(status) ? new TransientError(error) : error;
}

function loginAdvice({ proxy, logins }: ProxyRefusal): string {
  const others = /basic/i.test(logins) ? null : logins.match(/\b(negotiate|kerberos|ntlm|digest)\b/gi);
  if (others !== null) {
    return `It takes a login by ${[...new Set(others)].join(' or ')} only, which this program cannot do: name a local proxy that can, such as px or cntlm.`;
  }
  return hasCredentials(proxy)
    ? 'It rejects the user and the password of its address.'
    : 'It requires a login: http://user:password@host:port.';
}
