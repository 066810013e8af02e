import { readFileSync } from 'node:fs';
import { Argument, Command, CommanderError, Option } from 'commander';
import { judge } from './cli-error.js';
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
import { DEFAULT_INDEX, type SearchCommandOptions, search } from './commands/search.js';
import { type TranscribeCommandOptions, transcribe } from './commands/transcribe.js';
import { type CommonOptions, commonOptions, positive, readEnvironment, within } from './config.js';
import type { CliHost } from './context.js';
import { EXIT_CODES, EXIT_CODES_HELP, type ExitCode } from './exit-codes.js';
import { type CliStreams, Terminal } from './terminal.js';
import { visibleLines } from './visible.js';

/** What the command runs in. */
export interface CliRun extends CliStreams {
  readonly env: NodeJS.ProcessEnv;
  /** Fires on Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Runs `heimdex` with these arguments (without the program's own name). Never rejects. */
export async function runCli(args: readonly string[], run: CliRun): Promise<ExitCode> {
  const environment = readEnvironment(run.env);
  const terminal = new Terminal(run, environment.plain);
  const outcome: { exitCode: ExitCode } = { exitCode: EXIT_CODES.ok };
  const program = buildProgram({ terminal, environment, signal: run.signal }, (exitCode) => {
    outcome.exitCode = exitCode;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return outcome.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
    const { message, advice, exitCode } = judge(error);
    terminal.note(`${terminal.err.red('heimdex:')} ${visibleLines(message)}`);
    for (const line of advice) terminal.note(line);
    if (environment.debug && error instanceof Error) terminal.note(visibleLines(error.stack ?? ''));
    return exitCode;
  }
}

function buildProgram(host: CliHost, done: (exitCode: ExitCode) => void): Command {
  const { terminal } = host;
  const program = new Command('heimdex')
    .description('Speech, images, text and faces, by a Heimdex inference server.')
    .version(version(), '-V, --version')
    .addHelpText('after', EXIT_CODES_HELP)
    .showHelpAfterError('(heimdex --help shows what there is)')
    .configureOutput({
      writeOut: (text) => terminal.write(text),
      writeErr: (text) => terminal.note(visibleLines(text.trimEnd())),
      getOutHelpWidth: () => terminal.columns,
      getErrHelpWidth: () => terminal.columns,
      getOutHasColors: () => terminal.out.isColorSupported,
      getErrHasColors: () => terminal.err.isColorSupported,
    })
    .exitOverride();

  const command = (name: string, description: string) => {
    const made = program.command(name).description(description);
    for (const option of commonOptions()) made.addOption(option);
    return made;
  };

  command('transcribe', 'speech to text')
    .argument('<file...>', 'audio files or films (WAV, FLAC, MP3, Ogg, MP4, WebM), or - for standard input')
    .addOption(
      new Option('--format <format>', 'how to write it (default: text)').choices(['text', 'json', 'srt', 'vtt']),
    )
    .option('--max-line-width <columns>', 'srt, vtt: longest line (default: 42)', within(8, 1000, true))
    .option('--max-lines <count>', 'srt, vtt: most lines of a cue (default: 2)', within(1, 100, true))
    .option('--highlight-words', 'vtt: underline each word while it is spoken')
    .addOption(new Option('--words <format>', 'the words with their times instead').choices(['tsv', 'json']))
    .option('--output-dir <directory>', 'one file an audio file in this directory, instead of standard output')
    .option('--language <code>', 'the language spoken, such as en (default: detected)')
    .option('--translate', 'write English, whatever is spoken')
    .addOption(new Option('--timestamps <detail>', 'how finely times are given').choices(['none', 'segment', 'word']))
    .option('--prompt <text>', 'text that stands before the audio: names, spelling, style')
    .option('--hotwords <text>', 'words to expect')
    .option('--beam-size <count>', 'hypotheses kept, 1 to 8', within(1, 8, true))
    .option('--no-condition', 'do not show each window the text before it: faster, several at a time')
    .option('--vad', 'leave out what holds no speech')
    .option('--max-speech <seconds>', 'the same, and cut speech longer than this in its pauses', within(1, 300))
    .option('--skip-silence <seconds>', 'skip longer silences around words that look made up', within(0, 30))
    .option('--audio-track <index>', 'which audio track of a film, from 0 (default: its own)', within(0, 1000, true))
    .option('--start <seconds>', 'where to begin', within(0, Number.POSITIVE_INFINITY))
    .option('--end <seconds>', 'where to stop', positive)
    .addOption(new Option('--raw <encoding>', 'samples without a container').choices(['s16le', 'f32le']))
    .option('--rate <hertz>', 'sample rate of --raw', within(1000, 384_000, true), 16_000)
    .option('--channels <count>', 'channels of --raw', within(1, 32, true), 1)
    .action(async (files: string[], options: TranscribeCommandOptions) => done(await transcribe(host, files, options)));

  command('embed-image', 'images to vectors')
    .argument('<file...>', 'images, or directories of images')
    .option('--no-normalize', 'leave the vectors at their own length')
    .action(async (files: string[], options: EmbedImageCommandOptions) => done(await embedImage(host, files, options)));

  command('embed-text', 'texts to vectors')
    .argument('[text...]', 'texts; without any, the lines of standard input')
    .addOption(
      new Option('--model <model>', 'vision: to find images; text: to find texts')
        .choices(['vision', 'text'])
        .default('vision'),
    )
    .option('--no-normalize', 'leave the vectors at their own length')
    .option('--no-truncate', 'a text longer than the model reads is an error')
    .action(async (texts: string[], options: EmbedTextCommandOptions) => done(await embedText(host, texts, options)));

  command('index', 'the vectors of many images into a file, for search')
    .argument('<directory...>', 'directories of images, or images')
    .option('--index <file>', 'where to write', DEFAULT_INDEX)
    .action(async (paths: string[], options: IndexCommandOptions) => done(await buildIndex(host, paths, options)));

  command('search', 'rank images by words, or by another image')
    .addArgument(new Argument('[words]', 'what to look for; left out with --like'))
    .argument('[file...]', 'images, or directories of images; without any, those of --index')
    .option('--index <file>', `search in what heimdex index wrote (default: ${DEFAULT_INDEX})`)
    .option('--like <image>', 'look for images like this one')
    .option('--top <count>', 'how many to show', within(1, 1_000_000, true), 10)
    .action(async (words: string | undefined, files: string[], options: SearchCommandOptions) =>
      done(await search(host, words === undefined ? files : [words, ...files], options)),
    );

  command('detect-faces', 'faces in images, with five landmarks each')
    .argument('<file...>', 'images, or directories of images')
    .option('--draw <file>', 'draw what was found on a copy of the one image')
    .option('--draw-dir <directory>', 'the same for many: a PNG each in this directory')
    .option('--score <threshold>', 'leave out faces below this score, 0 to 1', within(0, 1))
    .option('--nms <threshold>', 'of two boxes that overlap by more the better stays, 0 to 1', within(0, 1))
    .option('--max <count>', 'the best so many an image; 0: all', within(0, 1_000_000, true))
    .action(async (files: string[], options: DetectFacesCommandOptions) =>
      done(await detectFaces(host, files, options)),
    );

  command('info', 'what the server has loaded, what it accepts, its limits').action(async (options: CommonOptions) =>
    done(await info(host, options)),
  );

  command('health', 'whether the server serves')
    .argument('[method]', 'one method alone, such as EmbedImage')
    .option(
      '--service <name>',
      'the same, or any name that health knows: heimdex.inference.v1.InferenceService/EmbedImage',
    )
    .option('--wait <seconds>', 'wait until it serves, at most so long', positive)
    .option('--watch', 'show each change until interrupted')
    .action(async (method: string | undefined, options: HealthCommandOptions) =>
      done(await health(host, method, options)),
    );

  return program;
}

function version(): string {
  const file = new URL('../../../package.json', import.meta.url);
  const parsed: { version?: string } = JSON.parse(readFileSync(file, 'utf8'));
  return parsed.version ?? 'unknown';
}
