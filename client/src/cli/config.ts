import { readFile } from 'node:fs/promises';
import { InvalidArgumentError, Option } from 'commander';
import type { InferenceClientOptions, TlsOptions } from '../options.js';
import { DEFAULT_ADDRESS } from '../transport/connect.js';
import { usageError } from './cli-error.js';

/** What the command takes from its environment. */
export interface CliEnvironment {
  /** HEIMDEX_ADDRESS: where the server is; several, separated by commas. Default localhost:8001. */
  readonly address: string;
  /** HEIMDEX_TOKEN: the bearer token. */
  readonly token: string | undefined;
  /** NO_COLOR: any value: no colour (no-color.org). */
  readonly plain: boolean;
  /** HEIMDEX_DEBUG: any value: show where an unexpected error happened. */
  readonly debug: boolean;
}

/** The one place of the client that reads the environment. */
export function readEnvironment(env: NodeJS.ProcessEnv): CliEnvironment {
  const given = (name: string) => (env[name] === undefined || env[name] === '' ? undefined : env[name]);
  return {
    address: given('HEIMDEX_ADDRESS') ?? DEFAULT_ADDRESS,
    token: given('HEIMDEX_TOKEN'),
    plain: given('NO_COLOR') !== undefined,
    debug: given('HEIMDEX_DEBUG') !== undefined,
  };
}

/** The options that every command has. */
export interface CommonOptions {
  readonly address?: string;
  readonly json?: boolean;
  readonly timeout?: number;
  readonly bulk?: boolean;
  readonly tls?: boolean;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tokenFile?: string;
}

/** As {@link CommonOptions}, for the command line's parser. */
export function commonOptions(): Option[] {
  const json = new Option('--json', 'results as JSON, one document a line');
  const connection = [
    new Option(
      '-a, --address <address>',
      'where the server is; several, separated by commas, or dns:///name:port (HEIMDEX_ADDRESS, default localhost:8001)',
    ),
    new Option('--timeout <seconds>', 'time limit of a call').argParser(positive),
    new Option('--bulk', 'stand back when others wait'),
    new Option('--tls', 'encrypt the connection'),
    new Option('--tls-ca <file>', 'trust the authorities in this PEM file'),
    new Option('--tls-cert <file>', 'show this certificate'),
    new Option('--tls-key <file>', 'the key of --tls-cert'),
    new Option('--token-file <file>', 'show the bearer token in this file (or HEIMDEX_TOKEN)'),
  ];
  return [json, ...connection.map((option) => option.helpGroup('Connection:'))];
}

/**
 * The client's settings for one command.
 *
 * @throws CliError when a file cannot be read
 */
export async function clientOptions(options: CommonOptions, env: CliEnvironment): Promise<InferenceClientOptions> {
  const addresses = (options.address ?? env.address).split(',').map((address) => address.trim());
  const token = options.tokenFile === undefined ? env.token : (await readText(options.tokenFile)).trim();
  const tls = await tlsOptions(options);
  return {
    addresses,
    retry: { maxAttempts: 4, initialDelayMs: 100 }, // A person waits: a server that is not there is said soon.
    ...(token !== undefined && { token }),
    ...(tls !== undefined && { tls }),
    ...(options.bulk === true && { priority: 'bulk' }),
  };
}

/** Seconds, sizes and the like on the command line. @throws InvalidArgumentError unless above 0 */
export function positive(text: string): number {
  const number = Number(text);
  if (!(number > 0) || !Number.isFinite(number)) throw new InvalidArgumentError('Expected a number above 0.');
  return number;
}

/** A number from `least` to `most` on the command line. */
export function within(least: number, most: number, whole = false): (text: string) => number {
  return (text) => {
    const number = text.trim() === '' ? Number.NaN : Number(text);
    if (!(number >= least && number <= most) || (whole && !Number.isInteger(number))) {
      const range = most === Number.POSITIVE_INFINITY ? `from ${least}` : `from ${least} to ${most}`;
      throw new InvalidArgumentError(`Expected a ${whole ? 'whole ' : ''}number ${range}.`);
    }
    return number;
  };
}

async function tlsOptions({ tls, tlsCa, tlsCert, tlsKey }: CommonOptions): Promise<TlsOptions | true | undefined> {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) throw usageError('--tls-cert and --tls-key go together');
  if (tlsCa === undefined && tlsCert === undefined) return tls === true ? true : undefined;
  return {
    ...(tlsCa !== undefined && { ca: await readText(tlsCa) }),
    ...(tlsCert !== undefined &&
      tlsKey !== undefined && { cert: await readText(tlsCert), key: await readText(tlsKey) }),
  };
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw usageError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
