/** What is wrong with a connection, and what helps: of the network, a proxy or TLS. */
import { hasCredentials } from '@heimdex/cache';
import { codeOf, messageOf } from '@heimdex/common';
import { DownloaderError } from '../errors.js';
import { isUnreached } from './network-state.js';
import { type ProxyFor, ProxyRefusal } from './proxy.js';
import { mayPass, TransientError } from './retry.js';

export interface ConnectionOptions {
  /** No byte, header or handshake for this long is a stall. */
  readonly stallMs: number;
  readonly proxyFor: ProxyFor;
  /** The variable whose file of certificates NODE_EXTRA_CA_CERTS is advised to name. */
  readonly certificateVariable: string | undefined;
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

/** The error of a connection on which nothing came within the limit. */
export function stallError(url: URL, { stallMs, proxyFor }: ConnectionOptions): TransientError {
  return new TransientError(
    new DownloaderError(
      'STALLED',
      `${url.host}${throughProxy(proxyFor(url))} sent no byte for ${stallMs / 1000} s. Run the command again to resume; DOWNLOAD_STALL_SECONDS sets the limit.`,
    ),
  );
}

/** Returns a DownloaderError if a retry cannot succeed, as with an unknown certificate; otherwise a TransientError. */
export function connectionError(url: URL, options: ConnectionOptions, error: unknown): Error {
  const { proxyFor, certificateVariable } = options;
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

/** For messages: the way to a host. */
export function throughProxy(proxy: URL | undefined): string {
  return proxy === undefined ? '' : ` through the proxy ${proxy.host}`;
}

/** The error of a proxy that does not connect to a host. */
export function proxyError(url: URL, cause: ProxyRefusal): Error {
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
