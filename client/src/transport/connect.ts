import { lookup as systemLookup } from 'node:dns/promises';
import { type ChannelCredentials, credentials, Metadata } from '@grpc/grpc-js';
import { messageOf } from '@heimdex/common';
import { meaningOf } from '../arguments.js';
import { nowMs } from '../clock.js';
import { createError } from '../errors.js';
import {
  type CallOptions,
  channelOptions,
  type InferenceClientOptions,
  type Priority,
  type TlsOptions,
} from '../options.js';
import { parseAddress, type ServerAddress } from './address.js';
import { Endpoint } from './endpoint.js';
import { HealthWatch } from './health-watch.js';
import { EndpointPool } from './pool.js';

/** The default server address. */
export const DEFAULT_ADDRESS = 'localhost:8001';

/**
 * Creates the server pool of a client, without connecting.
 * Throws TypeError for an invalid address, a mixture of https:// and other addresses, or an invalid certificate.
 */
export function openPool(options: InferenceClientOptions): EndpointPool {
  const addresses = addressesOf(options);
  const tls = tlsOf(options, addresses);
  const channelCredentials = tls === undefined ? credentials.createInsecure() : secure(tls);
  return new EndpointPool({
    addresses,
    connect: (target, name) =>
      new Endpoint(
        target,
        channelCredentials,
        { ...nameOptions(tls?.serverName ?? name), ...channelOptions(options) },
        tls?.cert !== undefined,
      ),
    lookup: options.lookup ?? lookUp,
    watch: (endpoint) => new HealthWatch(endpoint, async () => metadataOf(options, {})),
    now: nowMs,
  });
}

/**
 * Builds the metadata of a call: token, priority and headers. The call's values override the client's.
 * A promise if the token is a function. Throws, or rejects with, InferenceClientError UNAUTHENTICATED or INVALID_ARGUMENT for an invalid
 * token or header; also whatever the token function throws.
 */
export function metadataOf(client: InferenceClientOptions, call: CallOptions): Metadata | Promise<Metadata> {
  if (typeof client.token !== 'function') return metadataWith(client.token, client, call);
  return Promise.resolve(client.token()).then((token) => metadataWith(token, client, call));
}

const PRIORITIES = { interactive: 'interactive', bulk: 'bulk' } as const satisfies Record<Priority, Priority>;

function metadataWith(token: string | undefined, client: InferenceClientOptions, call: CallOptions): Metadata {
  const metadata = new Metadata();
  const priority = call.priority ?? client.priority;
  if (priority !== undefined) metadata.set('x-heimdex-priority', meaningOf('priority', priority, PRIORITIES));
  if (token !== undefined && !isSet(metadata, 'authorization', `Bearer ${token}`)) {
    throw createError('UNAUTHENTICATED', 'no token: it contains a line break or an invalid character', {
      reason: 'NO_TOKEN',
    });
  }
  for (const [name, value] of Object.entries({ ...client.headers, ...call.headers })) {
    if (isSet(metadata, name, value)) continue;
    const description =
      'must be a single line of plain text, with a name of letters, digits and dashes that does not end in -bin';
    throw createError('INVALID_ARGUMENT', `the header ${name} ${description}`, {
      violations: [{ field: `headers.${name}`, description }],
    });
  }
  return metadata;
}

/** Returns false for an invalid header. The reason is omitted: it contains the value, which may be a secret. */
function isSet(metadata: Metadata, name: string, value: string): boolean {
  try {
    metadata.set(name, value);
    return true;
  } catch {
    return false;
  }
}

function addressesOf(options: InferenceClientOptions): readonly ServerAddress[] {
  if (options.address !== undefined && options.addresses !== undefined) {
    throw new TypeError('Expected address or addresses, got both');
  }
  const written = options.addresses ?? [options.address ?? DEFAULT_ADDRESS];
  if (written.length === 0) throw new TypeError('Expected at least one address, got none');
  return written.map(parseAddress);
}

function tlsOf(options: InferenceClientOptions, addresses: readonly ServerAddress[]): TlsOptions | undefined {
  if (options.tls !== undefined && options.tls !== false) return options.tls === true ? {} : options.tls;
  const encrypted = addresses.filter(({ tls }) => tls).length;
  if (encrypted === 0) return undefined;
  if (options.tls === false) throw new TypeError('Expected no https:// address with tls: false');
  if (encrypted < addresses.length) throw new TypeError('Expected all addresses to begin with https://, or none');
  return {};
}

function secure(tls: TlsOptions): ChannelCredentials {
  const pem = (part: string | Uint8Array | undefined) => (part === undefined ? null : Buffer.from(part));
  const ca = pem(tls.ca);
  // Node.js passes over anything else, and would trust nobody.
  if (ca?.includes('CERTIFICATE-----') === false) throw new TypeError('Expected tls.ca to have certificates in PEM');
  try {
    return credentials.createSsl(ca, pem(tls.key), pem(tls.cert));
  } catch (cause) {
    const expected = 'Expected tls.cert and tls.key to be a certificate and its private key, both or neither, in PEM';
    throw new TypeError(`${expected}: ${messageOf(cause)}`, { cause });
  }
}

function nameOptions(name: string | undefined) {
  return name === undefined ? {} : { 'grpc.ssl_target_name_override': name, 'grpc.default_authority': name };
}

async function lookUp(host: string): Promise<readonly string[]> {
  const found = await systemLookup(host, { all: true });
  return found.map(({ address }) => address);
}
