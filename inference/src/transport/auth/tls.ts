/** The port's certificates, reloaded when their files change. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import { messageOf } from '@heimdex/common';
import type { TlsConfig } from '../../config/config.js';
import { FatalError } from '../../exit-codes.js';
import { checkCertificates } from './certificates.js';
import { type WatchedFiles, type WatchOptions, watchFiles } from './watched-file.js';

export interface TlsObserver extends Pick<WatchOptions, 'changed' | 'failed'> {
  /** Called once when the certificate in use has expired. */
  expired?(atMs: number): void;
}

export interface TlsPort {
  readonly server: tls.Server;
  readonly files: WatchedFiles;
  /** When the certificate in use expires, in milliseconds since the epoch. */
  expiresAtMs(): number;
}

/** HTTP/2 first: native gRPC needs it, and some of its clients, such as connect-go, offer both. */
const PROTOCOLS = ['h2', 'http/1.1'];
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Rejects with a FatalError when a file is unreadable or invalid, or the certificate is not valid at this time. */
export async function createTlsServer(
  paths: TlsConfig,
  observer: TlsObserver,
  nowMs: () => number = Date.now,
): Promise<TlsPort> {
  const { certPath, keyPath, clientCaPath } = paths;
  const server = tls.createServer({
    ALPNProtocols: PROTOCOLS,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    minVersion: 'TLSv1.2',
    noDelay: true,
    keepAlive: true,
    requestCert: clientCaPath !== undefined,
    rejectUnauthorized: clientCaPath !== undefined,
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  let expiresAtMs = 0;
  let expired = false;
  try {
    const files = await watchFiles({
      paths: clientCaPath === undefined ? [certPath, keyPath] : [certPath, keyPath, clientCaPath],
      apply: ([cert = Buffer.alloc(0), key = Buffer.alloc(0), ca]) => {
        if (ca !== undefined) checkIssuers(ca, clientCaPath);
        const toMs = checkDates(cert, certPath, nowMs());
        checkKey(cert, key, paths);
        server.setSecureContext({ cert, key, ...(ca === undefined ? {} : { ca }) });
        expiresAtMs = toMs;
        expired = false;
      },
      checked: () => {
        if (expired || nowMs() <= expiresAtMs) return;
        expired = true;
        observer.expired?.(expiresAtMs);
      },
      ...observer,
    });
    return { server, files, expiresAtMs: () => expiresAtMs };
  } catch (cause) {
    if (cause instanceof FatalError) throw cause;
    const what = messageOf(cause);
    throw new FatalError(
      'configuration',
      `The certificate cannot be used: ${what}. Check TLS_CERT_FILE, TLS_KEY_FILE${clientCaPath === undefined ? '' : ' and TLS_CLIENT_CA_FILE'}.`,
      { cause },
    );
  }
}

/**
 * Returns when the server's certificate, the first of its chain, expires. Throws a FatalError if it is not valid now: OpenSSL serves
 * such a certificate, but callers refuse it.
 */
function checkDates(chain: Buffer, path: string, nowMs: number): number {
  const { validFrom, validTo } = new X509Certificate(chain);
  const [fromMs, toMs] = [Date.parse(validFrom), Date.parse(validTo)];
  if (fromMs <= nowMs && nowMs <= toMs) return toMs;
  const problem = nowMs > toMs ? `expired at ${iso(toMs)}: renew it` : `is valid only from ${iso(fromMs)}: wait`;
  const clock = `or correct the clock, which says ${iso(nowMs)}`;
  throw new FatalError('configuration', `The certificate in TLS_CERT_FILE ${path} ${problem}, ${clock}.`);
}

/**
 * Throws a FatalError unless the key is the certificate's. OpenSSL accepts a key of another kind, RSA beside a certificate for EC, as
 * while both files are being replaced, and then refuses every connection.
 */
function checkKey(chain: Buffer, key: Buffer, { certPath, keyPath }: TlsConfig): void {
  if (new X509Certificate(chain).checkPrivateKey(createPrivateKey(key))) return;
  const problem = `TLS_KEY_FILE ${keyPath} is not the key of the certificate in TLS_CERT_FILE ${certPath}, its first one`;
  throw new FatalError('configuration', `${problem}. Give both files of one certificate.`);
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** Throws a FatalError: with an invalid certificate in the file, no client would be accepted. */
function checkIssuers(pem: Buffer, path: string | undefined): void {
  try {
    checkCertificates(pem);
  } catch (cause) {
    const what = messageOf(cause);
    throw new FatalError('configuration', `TLS_CLIENT_CA_FILE ${path} cannot be used: ${what}.`, { cause });
  }
}
