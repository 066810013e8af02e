/** Finds out whether a failed connection failed because of TLS, and says what to do. */

import net from 'node:net';
import tls from 'node:tls';
import { codeOf } from '@heimdex/common';
import { nowMs } from '../clock.js';
import { changedError, type InferenceClientError, type TlsProblem } from '../errors.js';
import type { ConnectionProgress } from './watched-credentials.js';

/** Timeout of the handshake that shows whether a port speaks TLS. */
const PROBE_MS = 1_000;

/** A server whose connection failed. */
export interface FailedServer {
  readonly address: string;
  /** Whether the client uses TLS. */
  readonly secure: boolean;
  /** Whether the client has a certificate of its own. */
  readonly hasCertificate: boolean;
  readonly progress: ConnectionProgress;
}

/**
 * Returns the error of an unreachable server with the TLS problem that caused it, or the error unchanged. For a client
 * without TLS this tries a handshake with the port, until `deadlineMs` (by nowMs) and for at most 1 s.
 */
export async function withTlsProblem(
  error: InferenceClientError,
  server: FailedServer,
  deadlineMs: number,
): Promise<InferenceClientError> {
  if (error.reason !== 'UNREACHABLE' || !server.progress.accepted || NOT_ACCEPTED.test(error.message)) return error;
  const problem = server.secure ? problemOf(server) : await plainProblem(server.address, deadlineMs);
  if (problem === undefined) return error;
  const message = `${server.address} cannot be reached: ${sentenceOf(problem, server)}`;
  return changedError(error, message, { tlsProblem: problem });
}

/** The newest attempt got no connection: what is known of TLS is of an earlier one. */
const NOT_ACCEPTED = /ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|Name resolution failed/;
/** Node's codes for a certificate that no trusted authority has signed. */
const UNTRUSTED = new Set([
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'INVALID_CA',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);
/** OpenSSL's codes for a response that is not TLS. */
const NOT_TLS = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|RECORD_TOO_SMALL|HTTP_REQUEST|UNEXPECTED_MESSAGE/;
const CERTIFICATE_REQUIRED = /ALERT_CERTIFICATE_REQUIRED/;
const CERTIFICATE_REFUSED =
  /ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)/;

function problemOf({ progress, hasCertificate }: FailedServer): TlsProblem | undefined {
  const code = codeOf(progress.failure) ?? '';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'CERTIFICATE_NAME';
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') return 'CERTIFICATE_EXPIRED';
  if (UNTRUSTED.has(code)) return 'CERTIFICATE_UNTRUSTED';
  if (NOT_TLS.test(code)) return 'TLS_UNSUPPORTED';
  if (CERTIFICATE_REQUIRED.test(code)) return 'CLIENT_CERTIFICATE_REQUIRED';
  // Some servers end the connection without saying that the client's certificate is why.
  if (!progress.dismissed && !CERTIFICATE_REFUSED.test(code)) return undefined;
  return hasCertificate ? 'CLIENT_CERTIFICATE_REFUSED' : 'CLIENT_CERTIFICATE_REQUIRED';
}

async function plainProblem(address: string, deadlineMs: number): Promise<TlsProblem | undefined> {
  const timeoutMs = Math.min(PROBE_MS, deadlineMs - nowMs());
  return timeoutMs > 0 && (await speaksTls(address, timeoutMs)) ? 'TLS_REQUIRED' : undefined;
}

/** Whether a TLS handshake with a server gets as far as its certificate. The certificate is not verified: nothing is sent. */
function speaksTls(address: string, timeoutMs: number): Promise<boolean> {
  const target = targetOf(address);
  return new Promise((resolve) => {
    const socket = tls.connect({ ...target, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    const timer = setTimeout(() => end(false), timeoutMs);
    const end = (speaks: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(speaks);
    };
    socket.once('secureConnect', () => end(true));
    socket.on('error', (error) => end(/ALERT/.test(codeOf(error) ?? '')));
    socket.once('close', () => end(false));
  });
}

function targetOf(address: string): tls.ConnectionOptions {
  if (address.startsWith('unix:')) return { path: address.slice('unix:'.length).replace(/^\/\/(?=\/)/, '') };
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? [];
  return { host, port: Number(port), ...(net.isIP(host) === 0 && { servername: host }) };
}

function sentenceOf(problem: TlsProblem, { address, progress: { failure } }: FailedServer): string {
  const why = failure instanceof Error ? failure.message : '';
  switch (problem) {
    case 'TLS_REQUIRED':
      return `the port speaks TLS: use https://${address}`;
    case 'TLS_UNSUPPORTED':
      return `the port does not speak TLS: use http://${address}`;
    case 'CERTIFICATE_UNTRUSTED':
      return `its certificate is not trusted (${why}): give its authority's certificate as tls.ca`;
    case 'CERTIFICATE_NAME':
      return `its certificate is for another name (${namesIn(why)}): use the certificate's name in the address, or give it as tls.serverName`;
    case 'CERTIFICATE_EXPIRED':
      return `its certificate is not valid today (${why}): renew it, and check the clocks of both machines`;
    case 'CLIENT_CERTIFICATE_REQUIRED':
      return failure === undefined
        ? 'the server ended the connection after the TLS handshake, which usually means that it requires a client certificate: pass one as tls.cert and tls.key'
        : 'the server requires a client certificate: pass one as tls.cert and tls.key';
    case 'CLIENT_CERTIFICATE_REFUSED':
      return 'the server ended the connection after it got the client certificate: give one as tls.cert and tls.key that an authority of its TLS_CLIENT_CA_FILE has signed';
  }
}

/** Shortens Node's sentence about the names of a certificate. */
function namesIn(message: string): string {
  const [, expected, names] = /Host: (.*?)\.? is not in the cert's altnames: (.*)$/s.exec(message) ?? [];
  return expected === undefined || names === undefined ? message : `expected ${expected}, got ${names}`;
}
