import type { Readable } from 'node:stream';
import { CacheError, type CacheErrorCode } from '@heimdex/cache';
import { messageOf, visibleLines } from '@heimdex/common';
import { type Arguments, type CommandName, parseArguments } from './cli/arguments.js';
import type { CommandContext } from './commands/context.js';
import { loadConfig, logConfig } from './config.js';
import { asDiskError } from './disk.js';
import { DownloaderError, EXIT_STATUS, type ExitName } from './errors.js';
import { type Logger, openLog } from './log.js';
import { type RunFigures, sumOf, writeMetrics } from './metrics.js';
import { openScreen, type Screen } from './progress/screen.js';
import { openRemote } from './remote.js';
import { retryText } from './transfer/retry.js';
import { VERSION } from './version.js';

/** Inputs of the program. */
export interface RunOptions {
  /** Arguments after the program's name. */
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: Readable;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: Parameters<typeof openScreen>[0];
  /** Ends the run; received bytes stay for the next one. */
  readonly signal: AbortSignal;
}

/** Runs the program and returns its exit status. Never throws. */
export async function run(options: RunOptions): Promise<number> {
  const screen = openScreen(options.stderr, options.env);
  try {
    const args = parseArguments(options.argv);
    if (args.command === 'help') return printed(options, (await import('./cli/help.js')).helpText());
    if (args.command === 'version') return printed(options, `${VERSION}\n`);
    return await runCommand(args.command, args, options, screen);
  } catch (error) {
    return report(error, options.signal, openLog(logConfig(options.env), screen));
  }
}

async function runCommand(command: CommandName, args: Arguments, options: RunOptions, screen: Screen): Promise<number> {
  const startedMs = performance.now();
  const log = openLog(logConfig(options.env), screen);
  let figures: RunFigures = {};
  let exitStatus: number = EXIT_STATUS.ok;
  try {
    const config = loadConfig(options.env);
    const count = (more: RunFigures) => {
      figures = sumOf(figures, more);
    };
    const result = await carryOut(command, args, { config, log, screen, count }, options);
    figures = { ...result, ...figures };
  } catch (error) {
    exitStatus = report(error, options.signal, log, args);
  }
  if (args.metricsFile === undefined) return exitStatus;
  const durationMs = performance.now() - startedMs;
  const record = { command, exitStatus, durationMs, endedAtMs: Date.now(), figures };
  try {
    await writeMetrics(args.metricsFile, record);
    return exitStatus;
  } catch (error) {
    const failed = report(error, options.signal, log, args);
    return exitStatus === EXIT_STATUS.ok ? failed : exitStatus;
  }
}

async function carryOut(
  command: CommandName,
  args: Arguments,
  opened: Pick<CommandContext, 'config' | 'log' | 'screen' | 'count'>,
  options: RunOptions,
): Promise<RunFigures | undefined> {
  const { config, log } = opened;
  for (const hint of config.hints) log.warn({ event: 'variable' }, hint);
  const remote = openRemote(config, VERSION, {
    onRetry: (notice) => {
      opened.count({ retries: 1 });
      log.warn({ event: 'retry', pauseMs: Math.round(notice.delayMs) }, retryText(notice));
    },
    onSourceFailed: (model, source, error) => {
      log.warn({ event: 'source-failed', model, source }, `${error.message} Trying the next source.`);
    },
  });
  const print = (result: string | object) => {
    const text = typeof result === 'string' ? result : `${JSON.stringify(result, null, 2)}\n`;
    options.stdout.write(visibleLines(text));
  };
  const { stdin, stdout, signal } = options;
  const context: CommandContext = { ...opened, args, env: options.env, stdin, stdout, print, remote, signal };
  try {
    const run: Command = await COMMAND_LOADERS[command]();
    return await run(context);
  } finally {
    remote.close();
  }
}

type Command = (context: CommandContext) => Promise<RunFigures | undefined>;

/** Each command is imported when it is called, so that none loads another's dependencies. */
const COMMAND_LOADERS = {
  download: async () => (await import('./commands/download.js')).download,
  plan: async () => (await import('./commands/plan.js')).plan,
  verify: async () => (await import('./commands/verify.js')).verify,
  update: async () => (await import('./commands/update.js')).update,
  list: async () => (await import('./commands/list.js')).list,
  models: async () => (await import('./commands/models.js')).models,
  prune: async () => (await import('./commands/prune.js')).prune,
  prepare: async () => (await import('./commands/prepare.js')).prepareModels,
  export: async () => (await import('./commands/export.js')).exportModels,
  import: async () => (await import('./commands/import.js')).importModels,
} as const satisfies Record<CommandName, () => Promise<Command>>;

function printed(options: RunOptions, text: string): number {
  options.stdout.write(text);
  return EXIT_STATUS.ok;
}

/** The steps that commands share end their messages with "download", the usual one: the command that failed is the one to run again. */
function withCommand(message: string, args: Arguments | undefined): string {
  if (args === undefined) return message;
  return message.replace(
    /(then run: (?:\S+=\S+ )?)heimdex-downloader download$/,
    (_, before: string) => before + args.line,
  );
}

/** The command line to run again. */
function lineOf(args: Arguments | undefined): string {
  return args?.line ?? 'heimdex-downloader download';
}

function interruptedText(args: Arguments | undefined): string {
  const isResumed = args === undefined || ['download', 'update'].includes(args.command);
  return `Interrupted. ${isResumed ? 'Received bytes are kept; to resume' : 'To start again'}, run: ${lineOf(args)}`;
}

/** Logs the error once and returns the exit status. */
function report(error: unknown, signal: AbortSignal, log: Logger, args?: Arguments): number {
  if (signal.aborted) {
    log.warn({ event: 'interrupted' }, interruptedText(args));
    return EXIT_STATUS.interrupted;
  }
  const known = asDiskError(error);
  if (known instanceof DownloaderError) {
    log.error({ event: 'failed', code: known.code }, withCommand(known.message, args));
    return known.exitStatus;
  }
  if (known instanceof CacheError) {
    log.error({ event: 'failed', code: known.code }, known.message);
    return EXIT_STATUS[CACHE_EXITS[known.code]];
  }
  log.error(
    { event: 'failed', code: 'INTERNAL', stack: error instanceof Error ? error.stack : undefined },
    `Internal error: ${messageOf(error)}. For details, run: LOG_LEVEL=debug ${lineOf(args)}`,
  );
  return EXIT_STATUS.unexpected;
}

/** Error codes of the cache package, mapped to the downloader's. */
export const CACHE_EXITS = {
  ENVIRONMENT_INVALID: 'usage',
  MANIFEST_INVALID: 'usage',
  MODEL_UNKNOWN: 'usage',
  LOCK_INVALID: 'usage',
  PATH_UNSAFE: 'verification',
  CACHE_MISSING: 'missing',
  CACHE_UNREADABLE: 'disk',
  MODEL_MISSING: 'missing',
  MODEL_NOT_COMPILED: 'missing',
  FILE_MISSING: 'missing',
  FILE_EMPTY: 'verification',
  FILE_UNREADABLE: 'disk',
  FILE_SIZE_WRONG: 'verification',
  FILE_HASH_WRONG: 'verification',
} as const satisfies Record<CacheErrorCode, ExitName>;
