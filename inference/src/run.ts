/** The program, from its arguments to its exit status. */
import { aborted, parseArgs } from 'node:util';
import { CacheError, type CacheErrorCode } from '@heimdex/cache';
import { hostPort, MIB, messageOf, visibleLines } from '@heimdex/common';
import type { LogTarget } from '@heimdex/common/log';
import type { Logger } from 'pino';
import { chooseDevice } from './capacity/device.js';
import { readMachine } from './capacity/machine.js';
import { type Config, readConfig } from './config/config.js';
import { helpText } from './config/help.js';
import { EXIT_CODES, type ExitReason, FatalError, TOO_FEW_FILES } from './exit-codes.js';
import { type ConfiguredModel, findModels, verifyModels } from './models/find.js';
import { prepare } from './prepare.js';
import { compactHeap } from './process/garbage.js';
import { hasDefaultMalloc } from './process/malloc-settings.js';
import type { Server } from './server.js';
import { openLog } from './telemetry/log.js';
import { VERSION } from './version.js';

export interface Program {
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Destination of the log. */
  readonly stdout: LogTarget;
  /** Writes text to standard output. Rejects if that fails. */
  print(text: string): Promise<void>;
  readonly stderr: LogTarget;
  /** Aborted by the first signal: drain and exit. */
  readonly stop: AbortSignal;
}

/** Runs until `stop` or a fatal error. Resolves with the exit status; never rejects. */
export async function run(program: Program): Promise<number> {
  try {
    const args = readArguments(program.argv);
    if (args.text !== undefined) {
      await program.print(`${args.text}\n`);
      return EXIT_CODES.ok;
    }
    const config = readConfig(program.env);
    if (args.prepare === undefined) await serve(program, config);
    else await prepare({ config, log: openLogWithHints(config, program.stdout), stop: program.stop, ...args.prepare });
    return EXIT_CODES.ok;
  } catch (error) {
    const { reason, message } = toFatal(error);
    const exitStatus = EXIT_CODES[reason];
    // A log that is JSON by choice has the error as a line of its own; otherwise it is a sentence for whoever started the program.
    if (program.env.LOG_FORMAT === 'json') {
      openLog({ level: 'fatal', format: 'json' }, program.stdout).fatal({ reason, exitStatus }, message);
    } else program.stderr.write(`heimdex-inference: ${visibleLines(message)}\n`);
    return exitStatus;
  }
}

/** Opens the log and writes the warnings about the environment. */
function openLogWithHints({ log: config, hints }: Config, target: LogTarget): Logger {
  const log = openLog(config, target);
  for (const hint of hints) log.warn(hint);
  return log;
}

async function serve(program: Program, settings: Config): Promise<void> {
  const log = openLogWithHints(settings, program.stdout);
  if (hasDefaultMalloc(program.env, process.platform)) {
    log.debug(
      'glibc keeps freed memory: use Node.js 22.15 or later, or set MALLOC_ARENA_MAX=1 and the others that the images set',
    );
  }
  const models = await findModels(settings.models);
  if (models.length === 0) {
    throw new FatalError(
      'configuration',
      'Nothing to serve: all features are disabled. Set ASR_MODEL, VISION_MODEL_NAME, LOAD_BGE_M3 or FEATURE_FACE.',
    );
  }
  const { workerEnv: env } = settings;
  const device = await chooseDevice(settings.models.device, { log, env, stop: program.stop });
  if (program.stop.aborted) return;
  const config: Config = { ...settings, device };
  // Imported late: errors in the settings or the volume are reported without waiting for it.
  const { startServer } = await import('./server.js');
  const stopped = aborted(program.stop, program.stop);
  let failed: (error: FatalError) => void = () => {};
  const failure = new Promise<never>((_resolve, reject) => {
    failed = reject;
  });
  // Avoids an unhandled rejection if the server fails before anyone awaits it.
  failure.catch(() => {});
  const server = await startServer({ config, models, machine: readMachine(), log, failed });
  const { address, port } = server.address;
  log.info(
    { version: VERSION, volume: config.models.cacheDir, device: config.device },
    `Listening on ${hostPort(address, port)}`,
  );
  try {
    await Promise.race([verify(server, models, config, { stop: program.stop, log }), stopped]);
    // Once, while the models load: what the start has left is a quarter of this process's memory.
    await Promise.race([Promise.all([server.warm, compactHeap()]), failure, stopped]);
    if (!program.stop.aborted) log.info({ models: server.state.report().modelsLoaded }, 'Ready');
    await Promise.race([failure, stopped]);
  } catch (error) {
    await server.abort();
    throw error;
  }
  log.info('shutting down');
  await server.close();
  log.info('ended');
}

/**
 * Hashes all files while the models load. Its error comes before other start errors: if a model fails to load because a file is
 * damaged, the damage must be reported.
 */
async function verify(
  server: Server,
  models: readonly ConfiguredModel[],
  config: Config,
  { stop, log }: { readonly stop: AbortSignal; readonly log: Logger },
): Promise<void> {
  const unverified = config.verify === 'full' ? await verifyModels(models, stop) : [];
  if (unverified.length > 0) {
    log.warn(
      { files: unverified },
      'Not verified: the volume has no hash of these files. To record hashes, run with network access: heimdex-downloader download',
    );
  }
  server.state.filesVerified();
}

/** Smaller models load about as fast as their process starts. */
const PREPARE_MIN_MB = 4;

interface Arguments {
  /** Text to print; nothing else is done. */
  readonly text?: string | undefined;
  readonly prepare?: { readonly minBytes: number; readonly all: boolean } | undefined;
}

/** Parses the arguments. Throws a FatalError for unknown ones. */
function readArguments(argv: readonly string[]): Arguments {
  const options = {
    'min-mb': { type: 'string' },
    all: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean', short: 'V' },
  } as const;
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options, strict: true, allowPositionals: true });
    if (values.help === true) return { text: helpText() };
    if (values.version === true) return { text: VERSION };
    const [command = 'serve', ...others] = positionals;
    if (others.length > 0 || (command !== 'serve' && command !== 'prepare')) {
      throw new Error(`Unknown command "${positionals.join(' ')}"; expected serve (the default) or prepare`);
    }
    const { 'min-mb': minMb, all } = values;
    if (command === 'serve') {
      for (const option of ['min-mb', 'all'] as const) {
        if (values[option] !== undefined) throw new Error(`--${option} is only for prepare`);
      }
      return {};
    }
    const size = Number(minMb ?? PREPARE_MIN_MB);
    if (!Number.isFinite(size) || size < 0) throw new Error(`--min-mb must be a number of at least 0, got "${minMb}"`);
    return { prepare: { minBytes: size * MIB, all: all === true } };
  } catch (cause) {
    const problem = messageOf(cause);
    throw new FatalError('configuration', `${problem}. See: heimdex-inference --help`, { cause });
  }
}

/** Cache errors caused by the settings, not by the volume. */
const SETTING_ERRORS: readonly CacheErrorCode[] = ['ENVIRONMENT_INVALID', 'MANIFEST_INVALID', 'MODEL_UNKNOWN'];

function toFatal(error: unknown): { readonly reason: ExitReason; readonly message: string } {
  if (error instanceof FatalError) return error;
  if (error instanceof Error && 'code' in error && error.code === 'EMFILE') {
    return { reason: 'configuration', message: TOO_FEW_FILES };
  }
  if (error instanceof CacheError) {
    return { reason: SETTING_ERRORS.includes(error.code) ? 'configuration' : 'models', message: error.message };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { reason: 'unexpected', message };
}
