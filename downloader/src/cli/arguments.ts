import { parseArgs } from 'node:util';
import { didYouMean } from '@heimdex/cache';
import { messageOf } from '@heimdex/common';
import { DownloaderError } from '../errors.js';

/** Options and argument of a command. */
interface CommandShape {
  readonly doc: string;
  /** Name of its argument, if it accepts one. */
  readonly argument?: string;
  readonly options: readonly OptionName[];
}

/** The commands of the program. */
export const COMMANDS = {
  download: {
    doc: 'Fetch, verify and publish what the configured models lack. The default.',
    options: ['check', 'metrics-file'],
  },
  plan: {
    doc: 'Show what would be fetched and how many bytes. Requests file lists from the hub, fetches no file.',
    options: ['json', 'check'],
  },
  verify: {
    doc: 'Read every byte of the configured models and compare its hash. No network.',
    options: ['json', 'quick', 'metrics-file'],
  },
  update: {
    doc: 'Show which models changed since they were locked, fetch the new files and those that the volume lacks, and lock them.',
    options: ['json', 'dry-run', 'metrics-file'],
  },
  list: {
    doc: "Show what is in the cache: models, sizes, last use, the whole cache's size. No network.",
    options: ['json'],
  },
  models: {
    doc: 'Show the models that may be chosen: languages, size, memory, licence, and which are on the volume. No network.',
    options: ['json'],
  },
  prune: {
    doc: 'Show what this program downloaded and no configured model needs; with --yes remove it. No network.',
    options: ['json', 'yes', 'repository'],
  },
  prepare: {
    doc: 'Save the models in the form that the server loads fastest: runs heimdex-inference prepare, if it is installed next to this program.',
    options: [],
  },
  export: {
    doc: 'Write the configured models to one tar file for a site without a network; - is stdout.',
    argument: 'FILE',
    options: ['metrics-file'],
  },
  import: {
    doc: 'Read such a tar file into the cache and verify every byte; - is stdin.',
    argument: 'FILE',
    options: ['metrics-file'],
  },
} as const satisfies Record<string, CommandShape>;

/** Name of a command. */
export type CommandName = keyof typeof COMMANDS;

/** The options, with their text in --help. */
export const OPTIONS = {
  json: { type: 'boolean', doc: 'Print one JSON document instead of text.' },
  check: { type: 'boolean', doc: 'First read every byte on the volume, and fetch what is wrong.' },
  quick: { type: 'boolean', doc: 'Check names, sizes and times; read only files changed since they were verified.' },
  'dry-run': { type: 'boolean', doc: 'Only show what would be done.' },
  yes: { type: 'boolean', doc: 'Do it instead of only showing it.' },
  repository: {
    type: 'string',
    value: 'ORG/NAME',
    multiple: true,
    doc: 'Treat this repository as downloaded by this program; repeatable.',
  },
  'metrics-file': {
    type: 'string',
    value: 'FILE',
    doc: "Write the run's result to this file, for Prometheus' textfile collector.",
  },
  help: { type: 'boolean', short: 'h', doc: 'Show this text.' },
  version: { type: 'boolean', short: 'V', doc: 'Show the version.' },
} as const;

type OptionName = keyof typeof OPTIONS;

/** The parsed command line. */
export interface Arguments {
  /** The command line to run again, for a shell. */
  readonly line: string;
  readonly command: CommandName | 'help' | 'version';
  /** The command's argument; empty if it accepts none. */
  readonly file: string;
  readonly json: boolean;
  readonly check: boolean;
  readonly quick: boolean;
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly metricsFile: string | undefined;
  /** Repositories that `prune` may remove although this program did not download them. */
  readonly repositories: readonly string[];
}

/**
 * Parses the command line.
 * Throws DownloaderError USAGE.
 */
export function parseArguments(argv: readonly string[]): Arguments {
  const { values, positionals } = parse(argv);
  const [word = 'download', ...rest] = positionals;
  const base = {
    line: ['heimdex-downloader', ...(argv.length === 0 ? ['download'] : argv.map(quoted))].join(' '),
    file: rest[0] ?? '',
    json: values.json ?? false,
    check: values.check ?? false,
    quick: values.quick ?? false,
    dryRun: values['dry-run'] ?? false,
    yes: values.yes ?? false,
    metricsFile: values['metrics-file'],
    repositories: values.repository ?? [],
  };
  if (values.help === true || word === 'help') return { ...base, command: 'help' };
  if (values.version === true) return { ...base, command: 'version' };
  if (!isCommand(word)) {
    throw usageError(
      `Unknown command "${word}"; expected one of ${Object.keys(COMMANDS).join(', ')}${didYouMean(word, Object.keys(COMMANDS))}`,
    );
  }
  assertAccepted(word, Object.keys(values), rest);
  // As of a variable of a shell that is not set: found only when all work is done.
  if (base.metricsFile === '') throw usageError('--metrics-file requires a FILE');
  return { ...base, command: word };
}

function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}

function assertAccepted(word: CommandName, given: readonly string[], rest: readonly string[]): void {
  const shape: CommandShape = COMMANDS[word];
  const foreign = given.find((name) => !shape.options.some((option) => option === name));
  if (foreign !== undefined) {
    const accepted = shape.options.length === 0 ? 'none' : shape.options.map((option) => `--${option}`).join(', ');
    throw usageError(`${word} does not accept --${foreign}; accepted options: ${accepted}`);
  }
  const expected = shape.argument === undefined ? 0 : 1;
  if (rest.length > expected) throw usageError(`${word} does not accept the argument "${rest[expected]}"`);
  if (rest.length < expected || rest[0] === '') throw usageError(`${word} requires a ${shape.argument}`);
}

function isCommand(word: string): word is CommandName {
  return Object.hasOwn(COMMANDS, word);
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true, strict: true });
  } catch (error) {
    // Node.js continues with how to pass an argument that begins with a dash, which no command accepts.
    const [, option] = /^Unknown option '(-[^']+)'/.exec(messageOf(error)) ?? [];
    if (option === undefined) throw usageError(messageOf(error));
    const known = Object.keys(OPTIONS).map((name) => `--${name}`);
    throw usageError(`Unknown option ${option}${didYouMean(option, known)}`);
  }
}

function usageError(what: string): DownloaderError {
  return new DownloaderError(
    'USAGE',
    `${what.replace(/\.$/, '')}${what.endsWith('?') ? '' : '.'} See: heimdex-downloader --help`,
  );
}
