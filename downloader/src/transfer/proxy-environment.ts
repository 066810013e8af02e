import { BlockList, isIP } from 'node:net';
import { isDecodable } from '@heimdex/cache';
import { DownloaderError } from '../errors.js';
import type { ProxyFor } from './proxy.js';

/**
 * Reads HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in lower case first, as curl, Python and Go do.
 * The result throws DownloaderError USAGE for an invalid proxy; its address may hold a password, so it is not shown.
 */
export function proxyEnvironment(env: NodeJS.ProcessEnv): ProxyFor {
  const read = (name: string) => env[name]?.trim() || env[name.toUpperCase()]?.trim() || undefined;
  return (url) => {
    const text = read(`${url.protocol.slice(0, -1)}_proxy`) ?? read('all_proxy');
    if (text === undefined || isExcepted(url, read('no_proxy') ?? '')) return undefined;
    return parseProxy(text, url);
  };
}

/** A proxy without a scheme is reached over http, also for https addresses. */
function parseProxy(text: string, url: URL): URL {
  const address = text.includes('://') ? text : `http://${text}`;
  const proxy = URL.canParse(address) ? new URL(address) : undefined;
  const isHttp = proxy?.protocol === 'http:' || proxy?.protocol === 'https:';
  if (isHttp && isDecodable(proxy)) return proxy;
  const came = isHttp
    ? 'a user or a password with a % that is not written as %25'
    : proxy === undefined
      ? 'an invalid URL'
      : `the unsupported scheme ${proxy.protocol}//`;
  throw new DownloaderError(
    'USAGE',
    `${url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'} (or ALL_PROXY) must be a URL like http://host:port, got ${came}. Correct it, or add ${url.hostname} to NO_PROXY, then run: heimdex-downloader download`,
  );
}

/** Whether NO_PROXY has the host: `*`, a domain, which covers its subdomains, an address, or a range of addresses; each with a port or without. */
function isExcepted(url: URL, exceptions: string): boolean {
  const host = withoutBrackets(url.hostname);
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return exceptions
    .toLowerCase()
    .split(/[\s,]+/)
    .some((exception) => {
      // The colons of an IPv6 address without brackets are no port.
      const [, named = exception, only] = /^(\[.*\]|[^:]*):(\d+)$/.exec(exception) ?? [];
      if (only !== undefined && only !== port) return false;
      const name = withoutBrackets(named);
      if (isIP(host) !== 0) return name === '*' || hasAddress(name, host);
      const domain = name.replace(/^\*?\.?/, '');
      return name === '*' || (domain !== '' && `.${host}`.endsWith(`.${domain}`));
    });
}

/** Whether an address, or a range such as 10.0.0.0/8, has the address of a host. */
function hasAddress(range: string, host: string): boolean {
  const [address = '', bits] = range.split('/');
  const version = isIP(address);
  if (version === 0 || version !== isIP(host)) return false;
  const widest = version === 4 ? 32 : 128;
  const prefix = Number(bits ?? widest);
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > widest) return false;
  const family = `ipv${version}` as 'ipv4' | 'ipv6';
  const list = new BlockList();
  list.addSubnet(address, prefix, family);
  return list.check(host, family);
}

function withoutBrackets(name: string): string {
  return name.replace(/^\[|\]$/g, '');
}
