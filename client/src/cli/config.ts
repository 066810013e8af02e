import { InvalidArgumentError, Option } from 'commander';
import { defined } from '../defined.js';
import { DEFAULT_TIMEOUTS_MS, type InferenceClientOptions, type TlsOptions } from '../options.js';
import { DEFAULT_ADDRESS } from '../transport/connect.js';
import { usageError } from './cli-error.js';
import { readNeeded } from './read-file.js';

/** Environment variables of the command. */
export interface CliEnvironment {
  /** HEIMDEX_ADDRESS: server address, or several separated by commas. Default localhost:8001. */
  readonly address: string;
  /** HEIMDEX_TOKEN: bearer token. */
  readonly token: string | undefined;
  /** NO_COLOR: any value disables colour (no-color.org). A dumb terminal has none. */
  readonly plain: boolean;
  /** TERM=dumb: the terminal knows no sequences, as in Emacs. */
  readonly dumb: boolean;
  /** HEIMDEX_DEBUG: any value adds stack traces to error messages. */
  readonly debug: boolean;
}

/** Reads the environment variables. No other file of the client does. */
export function readEnvironment(env: NodeJS.ProcessEnv): CliEnvironment {
  const given = (name: string) => (env[name] === undefined || env[name] === '' ? undefined : env[name]);
  const dumb = env.TERM === 'dumb';
  return {
    address: given('HEIMDEX_ADDRESS') ?? DEFAULT_ADDRESS,
    token: given('HEIMDEX_TOKEN'),
    plain: given('NO_COLOR') !== undefined || dumb,
    dumb,
    debug: given('HEIMDEX_DEBUG') !== undefined,
  };
}

/** Options of every command. */
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

/** Returns {@link CommonOptions} for the command line parser. */
export function commonOptions(): Option[] {
  const json = new Option('--json', 'print results as JSON, one document per line');
  const connection = [
    new Option(
      '-a, --address <address>',
      'server address; several separated by commas, or dns:///name:port (HEIMDEX_ADDRESS, default localhost:8001)',
    ),
    new Option('--timeout <seconds>', 'timeout per call; of transcribe, the longest time without a result').argParser(
      positive,
    ),
    new Option('--bulk', 'run at low priority'),
    new Option('--tls', 'use TLS'),
    new Option('--tls-ca <file>', 'trusted certificate authorities (PEM)'),
    new Option('--tls-cert <file>', 'client certificate (PEM)'),
    new Option('--tls-key <file>', 'private key of --tls-cert (PEM)'),
    new Option('--token-file <file>', 'file with the bearer token (or HEIMDEX_TOKEN)'),
  ];
  return [json, ...connection.map((option) => option.helpGroup('Connection:'))];
}

/** Of calls that may wait for other work: as long as one that transcribes a file. */
const BULK_TIMEOUTS_MS = {
  EmbedImage: DEFAULT_TIMEOUTS_MS.Transcribe,
  EmbedText: DEFAULT_TIMEOUTS_MS.Transcribe,
  DetectFaces: DEFAULT_TIMEOUTS_MS.Transcribe,
};

/**
 * Returns the client options for one command.
 * Throws CliError if a file cannot be read, and as a call does when the signal fires.
 */
export async function clientOptions(
  options: CommonOptions,
  env: CliEnvironment,
  signal: AbortSignal,
): Promise<InferenceClientOptions> {
  const addresses = (options.address ?? env.address).split(',').map((address) => address.trim());
  const token = options.tokenFile === undefined ? env.token : (await readText(options.tokenFile, signal)).trim();
  // An empty one would be sent, and refused as if none had been given.
  if (options.tokenFile !== undefined && token === '')
    throw usageError(`${options.tokenFile} is empty: expected a bearer token`);
  const tls = await tlsOptions(options, signal);
  return {
    addresses,
    retry: { maxAttempts: 4, initialDelayMs: 100 }, // Report an unreachable server quickly in interactive use.
    ...defined({ token, tls }),
    ...(options.bulk === true && { priority: 'bulk', timeoutsMs: BULK_TIMEOUTS_MS }),
  };
}

/** Parses a positive number on the command line. Throws InvalidArgumentError. */
export function positive(text: string): number {
  const number = Number(text);
  if (!(number > 0) || !Number.isFinite(number)) throw new InvalidArgumentError('Expected a number above 0.');
  return number;
}

/** Returns a parser for a number from `min` to `max` on the command line. */
export function within(min: number, max: number, whole = false): (text: string) => number {
  return (text) => {
    const number = text.trim() === '' ? Number.NaN : Number(text);
    if (!(number >= min && number <= max) || (whole && !Number.isInteger(number))) {
      const range = max === Number.POSITIVE_INFINITY ? `from ${min}` : `from ${min} to ${max}`;
      throw new InvalidArgumentError(`Expected a ${whole ? 'whole ' : ''}number ${range}.`);
    }
    return number;
  };
}

async function tlsOptions(
  { tls, tlsCa, tlsCert, tlsKey }: CommonOptions,
  signal: AbortSignal,
): Promise<TlsOptions | true | undefined> {
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw usageError('--tls-cert and --tls-key must be used together');
  if (tlsCa === undefined && tlsCert === undefined) return tls === true ? true : undefined;
  return {
    ...(tlsCa !== undefined && { ca: await readText(tlsCa, signal) }),
    ...(tlsCert !== undefined &&
      tlsKey !== undefined && { cert: await readText(tlsCert, signal), key: await readText(tlsKey, signal) }),
  };
}

async function readText(path: string, signal: AbortSignal): Promise<string> {
  return Buffer.from(await readNeeded(path, signal)).toString();
}
