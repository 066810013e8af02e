import { parseArgs } from 'node:util';
import { didYouMean } from '@heimdex/cache';
import { DownloaderError, errorMessage } from '../errors.js';

/** What a command takes. */
interface CommandShape {
  readonly doc: string;
  /** The name of its one argument, where it takes one. */
  readonly argument?: string;
  readonly options: readonly OptionName[];
}

/** What the program can do. */
export const COMMANDS = {
  download: {
    doc: 'Fetch what the configured models lack, prove it and publish it. The default.',
    options: ['check', 'metrics-file'],
  },
  plan: {
    doc: 'Show what would be fetched, and how many bytes. Asks the hub for lists of files, fetches no file.',
    options: ['json', 'check'],
  },
  verify: {
    doc: 'Read every byte of the configured models and compare its hash. No network.',
    options: ['json', 'quick', 'metrics-file'],
  },
  update: {
    doc: 'Show which models have moved since they were locked, fetch what is new and lock that.',
    options: ['json', 'dry-run', 'metrics-file'],
  },
  list: {
    doc: "Show what lies in the cache: models, sizes, last use, the whole cache's size. No network.",
    options: ['json'],
  },
  prune: {
    doc: 'Show what no configured model needs of all that this program brought; with --yes remove it. No network.',
    options: ['json', 'yes', 'repository'],
  },
  prepare: {
    doc: 'Leave the models in the form in which the server loads them fastest: runs heimdex-inference prepare, where it is installed beside this program.',
    options: [],
  },
  export: {
    doc: 'Write the configured models to one tar file, for a site without a network; - is stdout.',
    argument: 'FILE',
    options: ['metrics-file'],
  },
  import: {
    doc: 'Read such a tar file into the cache, proving every byte; - is stdin.',
    argument: 'FILE',
    options: ['metrics-file'],
  },
} as const satisfies Record<string, CommandShape>;

/** One of the commands. */
export type CommandName = keyof typeof COMMANDS;

/** The options, for --help. */
export const OPTIONS = {
  json: { type: 'boolean', doc: 'Print one JSON document instead of words.' },
  check: { type: 'boolean', doc: 'Read every byte of what is there first, and fetch what is wrong.' },
  quick: { type: 'boolean', doc: 'Look at names, sizes and times; read only files changed since they were proved.' },
  'dry-run': { type: 'boolean', doc: 'Only show what would be done.' },
  yes: { type: 'boolean', doc: 'Do it, rather than only show it.' },
  repository: {
    type: 'string',
    multiple: true,
    doc: 'Treat this repository (org/name) as brought by this program; may be given several times.',
  },
  'metrics-file': { type: 'string', doc: "Write the run's result to this file, for Prometheus' textfile collector." },
  help: { type: 'boolean', short: 'h', doc: 'Show this text.' },
  version: { type: 'boolean', short: 'V', doc: 'Show the version.' },
} as const;

type OptionName = keyof typeof OPTIONS;

/** The command line, checked. */
export interface Arguments {
  readonly command: CommandName | 'help' | 'version';
  /** What a command with an argument was given; empty for the others. */
  readonly file: string;
  readonly json: boolean;
  readonly check: boolean;
  readonly quick: boolean;
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly metricsFile: string | undefined;
  /** Repositories that `prune` may touch though this program did not bring them. */
  readonly repositories: readonly string[];
}

/**
 * Reads the command line.
 *
 * @throws DownloaderError USAGE.
 */
export function parseArguments(argv: readonly string[]): Arguments {
  const { values, positionals } = parse(argv);
  const [word = 'download', ...rest] = positionals;
  const base = {
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
      `There is no command "${word}"; expected one of ${Object.keys(COMMANDS).join(', ')}${didYouMean(word, Object.keys(COMMANDS))}`,
    );
  }
  assertTakes(word, Object.keys(values), rest);
  return { ...base, command: word };
}

function assertTakes(word: CommandName, given: readonly string[], rest: readonly string[]): void {
  const shape: CommandShape = COMMANDS[word];
  const foreign = given.find((name) => !shape.options.some((option) => option === name));
  if (foreign !== undefined) {
    const takes = shape.options.length === 0 ? 'none' : shape.options.map((option) => `--${option}`).join(', ');
    throw usageError(`${word} takes no option --${foreign}; it takes ${takes}`);
  }
  const wanted = shape.argument === undefined ? 0 : 1;
  if (rest.length > wanted) throw usageError(`${word} takes no argument "${rest[wanted]}"`);
  if (rest.length < wanted) throw usageError(`${word} needs a ${shape.argument}`);
}

function isCommand(word: string): word is CommandName {
  return Object.hasOwn(COMMANDS, word);
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true, strict: true });
  } catch (error) {
    throw usageError(errorMessage(error));
  }
}

function usageError(what: string): DownloaderError {
  return new DownloaderError('USAGE', `${what.replace(/\.$/, '')}. See: heimdex-downloader --help`);
}
