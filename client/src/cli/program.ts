import { readFileSync } from 'node:fs';
import { visibleLines } from '@heimdex/common';
import { Argument, Command, CommanderError, Option } from 'commander';
import { reportOf } from './cli-error.js';
import { buildIndex, type IndexCommandOptions } from './commands/build-index.js';
import { type DetectFacesCommandOptions, detectFaces } from './commands/detect-faces.js';
import {
  type EmbedImageCommandOptions,
  type EmbedTextCommandOptions,
  embedImage,
  embedText,
} from './commands/embed.js';
import { type HealthCommandOptions, health } from './commands/health.js';
import { info } from './commands/info.js';
import { models } from './commands/models.js';
import { DEFAULT_INDEX, type SearchCommandOptions, search } from './commands/search.js';
import { type TranscribeCommandOptions, transcribe } from './commands/transcribe.js';
import { type CommonOptions, commonOptions, positive, readEnvironment, within } from './config.js';
import type { CliHost } from './context.js';
import { EXIT_CODES, EXIT_CODES_HELP, type ExitCode } from './exit-codes.js';
import { type CliStreams, Terminal } from './terminal.js';

/** Streams, environment and signal of a run. */
export interface CliRun extends CliStreams {
  readonly env: NodeJS.ProcessEnv;
  /** Fires on Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Runs `heimdex` with arguments (without the program name) and returns its exit status. Never rejects. */
export async function runCli(args: readonly string[], run: CliRun): Promise<ExitCode> {
  const environment = readEnvironment(run.env);
  const terminal = new Terminal(run, environment);
  const outcome: { exitCode: ExitCode } = { exitCode: EXIT_CODES.ok };
  const program = buildProgram({ terminal, environment, signal: run.signal }, (exitCode) => {
    outcome.exitCode = exitCode;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return outcome.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
    const { message, advice, exitCode } = reportOf(error);
    terminal.error(`${terminal.err.red('heimdex:')} ${visibleLines(message)}`);
    for (const line of advice) terminal.error(line);
    if (environment.debug && error instanceof Error) terminal.error(visibleLines(error.stack ?? ''));
    return exitCode;
  }
}

/** Adds a command to the program. */
type AddCommand = (name: string, description: string) => Command;
/** Takes the exit status of the command that ran. */
type Done = (exitCode: ExitCode) => void;

function buildProgram(host: CliHost, done: Done): Command {
  const program = bareProgram(host.terminal);
  // Common options may stand before the command as well; those after it win.
  for (const option of commonOptions()) program.addOption(option);
  program.hook('preAction', (_program, command) => {
    for (const [name, value] of Object.entries(program.opts())) {
      const given = program.getOptionValueSource(name) === 'cli' && command.getOptionValueSource(name) !== 'cli';
      if (given) command.setOptionValueWithSource(name, value, 'cli');
    }
  });

  const command: AddCommand = (name, description) => {
    const subcommand = program.command(name).description(description);
    subcommand.showHelpAfterError(`(run heimdex ${name} --help for usage)`);
    for (const option of commonOptions()) subcommand.addOption(option);
    return subcommand;
  };
  addSpeechCommand(command, host, done);
  addImageAndTextCommands(command, host, done);
  addServerCommands(command, host, done);
  program
    .command('help')
    .argument('[command]')
    .description('display help for command')
    .action((name?: string) => {
      const named = name === undefined ? program : program.commands.find((known) => known.name() === name);
      if (named === undefined) return program.error(`error: unknown command '${name}'`);
      named.help();
    });
  return program;
}

function bareProgram(terminal: Terminal): Command {
  return new Command('heimdex')
    .description('Client of the Heimdex inference server: speech, images, text and faces.')
    .version(version(), '-V, --version')
    .addHelpText('after', EXIT_CODES_HELP)
    .showHelpAfterError('(run heimdex --help for usage)')
    .configureOutput({
      writeOut: (text) => terminal.write(text),
      writeErr: (text) => terminal.error(visibleLines(text.trimEnd())),
      getOutHelpWidth: () => terminal.columns,
      getErrHelpWidth: () => terminal.columns,
      getOutHasColors: () => terminal.out.isColorSupported,
      getErrHasColors: () => terminal.err.isColorSupported,
    })
    .exitOverride();
}

function addSpeechCommand(command: AddCommand, host: CliHost, done: Done): void {
  command('transcribe', 'speech to text')
    .argument('<file...>', 'audio or video files (WAV, FLAC, MP3, Ogg, MP4, WebM), or - for standard input')
    .addOption(new Option('--format <format>', 'output format (default: text)').choices(['text', 'json', 'srt', 'vtt']))
    .option('--max-line-width <columns>', 'srt, vtt: maximum line width (default: 42)', within(8, 1000, true))
    .option('--max-lines <count>', 'srt, vtt: maximum lines per cue (default: 2)', within(1, 100, true))
    .option('--highlight-words', 'vtt: underline each word while it is spoken')
    .addOption(new Option('--words <format>', 'write the words with their times instead').choices(['tsv', 'json']))
    .option('--output-dir <directory>', 'write one file per input to this directory, instead of standard output')
    .option('--language <code>', 'spoken language, such as en (default: detected)')
    .option('--translate', 'translate to English')
    .addOption(new Option('--timestamps <detail>', 'timestamp granularity').choices(['none', 'segment', 'word']))
    .option('--prompt <text>', 'initial prompt, to set names, spelling and style')
    .option('--hotwords <text>', 'hint words')
    .option('--beam-size <count>', 'beam size, 1 to 8', within(1, 8, true))
    .option('--no-condition', 'do not condition on previous text: faster, decodes several windows at a time')
    .option('--vad', 'skip audio without speech')
    .option('--max-speech <seconds>', 'like --vad, and split longer speech at its pauses', within(1, 300))
    .option('--live', 'live speech: show words at once, final ones as they are; Ctrl-C ends the audio')
    .option('--skip-silence <seconds>', 'skip longer silence around likely hallucinations', within(0, 30))
    .option(
      '--audio-track <index>',
      'index of the audio track, from 0 (default: the default track)',
      within(0, 1000, true),
    )
    .option('--start <seconds>', 'start of the clip', within(0, Number.POSITIVE_INFINITY))
    .option('--end <seconds>', 'end of the clip', positive)
    .addOption(
      new Option('--raw <encoding>', 'the input is raw samples without a container').choices(['s16le', 'f32le']),
    )
    .option('--rate <hertz>', 'sample rate of --raw (default: 16000)', within(1000, 384_000, true))
    .option('--channels <count>', 'channels of --raw (default: 1)', within(1, 32, true))
    .action(async (files: string[], options: TranscribeCommandOptions) => done(await transcribe(host, files, options)));
}

function addImageAndTextCommands(command: AddCommand, host: CliHost, done: Done): void {
  command('embed-image', 'embed images')
    .argument('<file...>', 'images, or directories of images')
    .option('--no-normalize', 'do not scale vectors to length 1')
    .action(async (files: string[], options: EmbedImageCommandOptions) => done(await embedImage(host, files, options)));

  command('embed-text', 'embed texts')
    .argument('[text...]', 'texts (default: lines of standard input)')
    .addOption(
      new Option('--model <model>', 'vision: text-to-image search; text: text-to-text search')
        .choices(['vision', 'text'])
        .default('vision'),
    )
    .option('--no-normalize', 'do not scale vectors to length 1')
    .option('--no-truncate', 'fail on texts beyond the maximum length')
    .action(async (texts: string[], options: EmbedTextCommandOptions) => done(await embedText(host, texts, options)));

  command('index', 'embed images into an index file for search')
    .argument('<directory...>', 'images, or directories of images')
    .option('--index <file>', 'index file to write', DEFAULT_INDEX)
    .action(async (paths: string[], options: IndexCommandOptions) => done(await buildIndex(host, paths, options)));

  command('search', 'rank images by a text or by another image')
    .addArgument(new Argument('[words]', 'text to search for; omit with --like'))
    .argument('[file...]', 'images, or directories of images (default: those of --index)')
    .option('--index <file>', `index file to search (default: ${DEFAULT_INDEX})`)
    .option('--like <image>', 'search for images similar to this one')
    .option('--top <count>', 'maximum number of results', within(1, 1_000_000, true), 10)
    .action(async (words: string | undefined, files: string[], options: SearchCommandOptions) =>
      done(await search(host, words === undefined ? files : [words, ...files], options)),
    );

  command('detect-faces', 'detect faces in images, with five landmarks per face')
    .argument('<file...>', 'images, or directories of images')
    .option('--draw <file>', 'draw the faces on a copy of the image (one input only)')
    .option('--draw-dir <directory>', 'draw the faces on copies in this directory, one PNG per image')
    .option('--score <threshold>', 'minimum score, 0 to 1', within(0, 1))
    .option('--nms <threshold>', 'IoU threshold of non-maximum suppression, 0 to 1', within(0, 1))
    .option('--max <count>', 'maximum faces per image; 0: all', within(0, 1_000_000, true))
    .action(async (files: string[], options: DetectFacesCommandOptions) =>
      done(await detectFaces(host, files, options)),
    );
}

function addServerCommands(command: AddCommand, host: CliHost, done: Done): void {
  command('info', 'show loaded models, accepted formats and limits').action(async (options: CommonOptions) =>
    done(await info(host, options)),
  );

  command('models', 'show the models that the server has loaded').action(async (options: CommonOptions) =>
    done(await models(host, options)),
  );

  command('health', 'show whether the server is serving')
    .argument('[method]', 'a single method, such as EmbedImage')
    .option('--service <name>', 'a method, or any service name: heimdex.inference.v1.InferenceService/EmbedImage')
    .option('--wait <seconds>', 'wait until serving, at most this long', positive)
    .addOption(new Option('--watch', 'show each change until interrupted or the server stops').conflicts('wait'))
    .action(async (method: string | undefined, options: HealthCommandOptions) =>
      done(await health(host, method, options)),
    );
}

function version(): string {
  const file = new URL('../../../package.json', import.meta.url);
  const parsed: { version?: string } = JSON.parse(readFileSync(file, 'utf8'));
  return parsed.version ?? 'unknown';
}
