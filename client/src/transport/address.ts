import { hostPort } from '@heimdex/common';

/** A parsed server address. */
export interface ServerAddress {
  /**
   * gRPC target: `host:port`, `[v6]:port` or `unix:/path`. With `dns`, the name whose addresses are separate servers.
   */
  readonly target: string;
  /** Whether every DNS address of the name is a separate server with its own connection. */
  readonly dns: boolean;
  readonly host: string;
  readonly port: number;
  /** True when written as https://. */
  readonly tls: boolean;
}

/** The servers' default port. */
const DEFAULT_PORT = 8001;

const SCHEME = /^(https?|dns|unix):(?:\/{2,3})?(.*)$/i;

/**
 * Parses `host`, `host:port`, `[v6]:port`, `http://host:port`, `https://host:port`, `dns:///name:port` (every address of
 * the name is a separate server) or `unix:/path`. The default port is 8001.
 * Throws TypeError for anything else.
 */
export function parseAddress(text: string): ServerAddress {
  const written = text.trim();
  const [, schemeWritten, rest = ''] = SCHEME.exec(written) ?? [undefined, undefined, written];
  const scheme = schemeWritten?.toLowerCase();
  if (scheme === 'unix') {
    const path = written.slice('unix:'.length);
    if (path === '') throw expected(text);
    return { target: `unix:${path}`, dns: false, host: 'localhost', port: 0, tls: false };
  }
  const { host, port } = parseHostAndPort(scheme?.startsWith('http') ? rest.replace(/\/$/, '') : rest, text);
  const target = hostPort(host, port);
  return { target, dns: scheme === 'dns', host, port, tls: scheme === 'https' };
}

function parseHostAndPort(authority: string, text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]]+))(?::(\d{1,5}))?$/.exec(authority);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? DEFAULT_PORT);
  if (host === undefined || port < 1 || port > 65_535) throw expected(text);
  return { host, port };
}

function expected(text: string): TypeError {
  return new TypeError(
    `Expected an address such as localhost:8001, [::1]:8001, https://host:8001, dns:///name:8001 or unix:/path, got ${JSON.stringify(text)}`,
  );
}
