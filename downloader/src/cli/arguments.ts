import { parseArgs } from 'node:util';
import { DownloaderError, reasonOf } from '../errors.js';

/** What the program can do. */
export const COMMANDS = {
  download: 'Fetch what the configured models lack, prove it and publish it. The default.',
  plan: 'Show what would be fetched, and how many bytes. Asks the hub for file lists, fetches no file.',
  verify: 'Read every byte of the configured models and compare its hash. No network.',
} as const;

/** One of the commands. */
export type CommandName = keyof typeof COMMANDS;

/** The command line, checked. */
export interface Arguments {
  readonly command: CommandName | 'help' | 'version';
  readonly json: boolean;
  /** download: reads every byte of what is there first, and fetches what is wrong. */
  readonly check: boolean;
  /** verify: names, sizes and times only. */
  readonly quick: boolean;
  readonly metricsFile: string | undefined;
}

/** The options, for --help; a command lists those it takes. */
export const OPTIONS = {
  json: { type: 'boolean', doc: 'plan, verify: print one JSON document instead of words.' },
  check: { type: 'boolean', doc: 'download: read every byte of what is there first, and fetch what is wrong.' },
  quick: { type: 'boolean', doc: 'verify: look at names, sizes and times only.' },
  'metrics-file': { type: 'string', doc: "Write the run's result to this file for Prometheus' textfile collector." },
  help: { type: 'boolean', short: 'h', doc: 'Show this text.' },
  version: { type: 'boolean', short: 'V', doc: 'Show the version.' },
} as const;

/**
 * Reads the command line.
 *
 * @throws DownloaderError USAGE.
 */
export function parseArguments(argv: readonly string[]): Arguments {
  const { values, positionals } = parse(argv);
  const [word = 'download', ...rest] = positionals;
  const base = {
    json: values.json ?? false,
    check: values.check ?? false,
    quick: values.quick ?? false,
    metricsFile: values['metrics-file'],
  };
  if (values.help === true || word === 'help') return { ...base, command: 'help' };
  if (values.version === true) return { ...base, command: 'version' };
  if (!isCommand(word)) {
    throw new DownloaderError(
      'USAGE',
      `There is no command "${word}"; expected one of ${Object.keys(COMMANDS).join(', ')}. See: heimdex-downloader --help`,
    );
  }
  if (rest.length > 0) {
    throw new DownloaderError('USAGE', `${word} takes no argument "${rest[0]}". See: heimdex-downloader --help`);
  }
  return { ...base, command: word };
}

function isCommand(word: string): word is CommandName {
  return Object.hasOwn(COMMANDS, word);
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true, strict: true });
  } catch (error) {
    throw new DownloaderError('USAGE', `${reasonOf(error)}. See: heimdex-downloader --help`, { cause: error });
  }
}
