import { stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { formatDuration, visible } from '@heimdex/common';
import { defined } from '../../defined.js';
import { InferenceClientError } from '../../errors.js';
import type { RawAudio, TranscribeOptions } from '../../speech.js';
import type { TranscribeEvent } from '../../speech-stream.js';
import { untilAborted } from '../../wait.js';
import { endsTheRun, usageError } from '../cli-error.js';
import type { CommonOptions } from '../config.js';
import { type CliHost, type CommandContext, withClient } from '../context.js';
import { EXIT_CODES, type ExitCode } from '../exit-codes.js';
import { LiveDisplay } from '../live-display.js';
import { unreadable } from '../read-file.js';
import { type TextSink, writeToFile } from '../text-sink.js';
import { type TranscriptFormat, transcriptWriter, type WordsFormat, wordsWriter } from '../transcript-writer.js';
import { createDir, expectWritable } from '../writable.js';

/** Options of `heimdex transcribe`. */
export interface TranscribeCommandOptions extends CommonOptions {
  readonly format?: TranscriptFormat;
  readonly maxLineWidth?: number;
  readonly maxLines?: number;
  readonly highlightWords?: boolean;
  readonly words?: WordsFormat;
  readonly outputDir?: string;
  readonly language?: string;
  readonly translate?: boolean;
  readonly timestamps?: 'none' | 'segment' | 'word';
  readonly prompt?: string;
  readonly hotwords?: string;
  readonly beamSize?: number;
  /** False with --no-condition. */
  readonly condition: boolean;
  readonly vad?: boolean;
  readonly maxSpeech?: number;
  readonly skipSilence?: number;
  readonly live?: boolean;
  readonly audioTrack?: number;
  readonly start?: number;
  readonly end?: number;
  readonly raw?: 's16le' | 'f32le';
  readonly rate?: number;
  readonly channels?: number;
}

const STDIN = '-';

/** `heimdex transcribe FILE...`: writes the transcript while it is produced; `-` is standard input. */
export function transcribe(
  host: CliHost,
  files: readonly string[],
  options: TranscribeCommandOptions,
): Promise<ExitCode> {
  const format = options.format ?? (options.json === true ? 'json' : 'text');
  const { outputDir } = options;
  checkOptions(format, files, options);
  const extension = options.words ?? (format === 'text' ? 'txt' : format);
  const outputs = outputDir === undefined ? undefined : outputsIn(outputDir, files, extension);
  return withClient(host, options, async (context) => {
    if (outputDir !== undefined) await createDir(outputDir);
    for (const path of outputs?.values() ?? []) await expectWritable(path);
    for (const file of files) {
      const path = outputs?.get(file);
      try {
        if (path === undefined) {
          const named = files.length > 1;
          await transcribeOne(context, file, options, { format, sink: context.terminal, named });
        } else {
          await writeToFile(path, (sink) => transcribeOne(context, file, options, { format, sink, named: false }));
          context.terminal.error(visible(`${nameOf(file)} -> ${path}`));
        }
      } catch (error) {
        if (!(error instanceof InferenceClientError) || endsTheRun(error)) throw error;
        context.fail(nameOf(file), error);
      }
    }
    return options.live === true && host.signal.aborted ? EXIT_CODES.interrupted : undefined;
  });
}

function isSubtitles(format: TranscriptFormat): boolean {
  return format === 'srt' || format === 'vtt';
}

/** Throws for options that others would pass over, and for files that they do not allow. */
function checkOptions(format: TranscriptFormat, files: readonly string[], options: TranscribeCommandOptions): void {
  const { words, maxLineWidth, maxLines, highlightWords, timestamps, raw, rate, channels } = options;
  const chosen = words === undefined ? `--format ${format}` : `--words ${words}`;
  const isOneFile = words === 'tsv' || (words === undefined && isSubtitles(format));
  const needsDir = isOneFile && files.length > 1 && options.outputDir === undefined;
  const hasLines = (maxLineWidth ?? maxLines) !== undefined;
  const needsWords = words !== undefined ? '--words' : highlightWords === true ? '--highlight-words' : undefined;
  const wrong: readonly (readonly [applies: boolean, message: string])[] = [
    [words !== undefined && options.format !== undefined, 'Expected one of --words and --format'],
    [options.json === true && (words ?? format) !== 'json', `Expected one of --json and ${chosen}`],
    [hasLines && !isSubtitles(format), '--max-line-width and --max-lines need --format srt or vtt'],
    [highlightWords === true && format !== 'vtt', '--highlight-words needs --format vtt'],
    [needsWords !== undefined && (timestamps ?? 'word') !== 'word', `${needsWords} needs --timestamps word`],
    [raw === undefined && (rate ?? channels) !== undefined, '--rate and --channels need --raw'],
    [needsDir, `${chosen} with several files needs --output-dir DIR`],
    [files.filter((file) => file === STDIN).length > 1, 'Standard input (-) can only be given once'],
  ];
  for (const [applies, message] of wrong) if (applies) throw usageError(message);
}

/** Returns the output file of each input. Throws CliError if two have the same. */
function outputsIn(outputDir: string, files: readonly string[], extension: string): ReadonlyMap<string, string> {
  const inputs = new Map<string, string>();
  for (const file of files) {
    const name = file === STDIN ? 'stdin' : basename(file, extname(file));
    const path = join(outputDir, `${name}.${extension}`);
    const other = inputs.get(path);
    if (other === file) throw usageError(`${nameOf(file)} is given twice`);
    if (other !== undefined)
      throw usageError(
        `${nameOf(other)} and ${nameOf(file)} have the same output file ${path}: transcribe them in separate runs`,
      );
    inputs.set(path, file);
  }
  return new Map([...inputs].map(([path, file]) => [file, path]));
}

/** Where the transcript of a file goes, and how. */
interface Output {
  readonly format: TranscriptFormat;
  readonly sink: TextSink;
  /** Whether the file is named in it. */
  readonly named: boolean;
}

async function transcribeOne(
  context: CommandContext,
  file: string,
  options: TranscribeCommandOptions,
  { format, sink, named }: Output,
): Promise<void> {
  if (file !== STDIN) await checkReadable(file);
  const { terminal } = context;
  const name = { file: nameOf(file), named };
  const display = options.live === true ? new LiveDisplay(terminal) : undefined;
  const isScreen = sink === terminal && terminal.live;
  const onScreen = isScreen && format === 'text' && options.words === undefined ? display : undefined;
  const words = options.words === undefined ? undefined : wordsWriter(options.words, sink, name);
  const writer = onScreen ?? words ?? transcriptWriter(format, sink, name, options);
  try {
    for await (const event of eventsOf(context, file, options)) {
      if (event.type === 'segment') await writer.segment(event.segment);
      else if (event.type === 'summary') {
        await writer.summary(event.summary);
        for (const warning of event.summary.warnings) terminal.error(visible(`${nameOf(file)}: ${warning}`));
      } else if (event.type === 'partial') await display?.partial(event.partial.text);
      else if (!isScreen && display === undefined)
        terminal.status(`${nameOf(file)}: ${formatDuration(event.processedSeconds * 1000)} done`);
    }
  } catch (error) {
    await writer.abort?.();
    if (error instanceof InferenceClientError && error.reason === 'SOURCE_FAILED')
      throw unreadable(nameOf(file), error.cause);
    throw error;
  }
}

function eventsOf(
  { client, call, terminal, signal }: CommandContext,
  file: string,
  options: TranscribeCommandOptions,
): AsyncIterable<TranscribeEvent> {
  const sent = settings(options);
  if (file !== STDIN) return client.transcribeFile(file, { ...call, ...sent });
  const stdin = terminal.stdin as AsyncIterable<Uint8Array>;
  if (options.live !== true) return client.transcribeStream(stdin, { ...call, ...sent });
  // Ctrl-C ends live audio from standard input instead of cancelling the call.
  const { signal: _, ...uncancelled } = call;
  return client.transcribeStream(untilAborted(stdin, signal), { ...uncancelled, ...sent });
}

async function checkReadable(file: string): Promise<void> {
  try {
    if ((await stat(file)).isDirectory()) throw new Error('it is a directory');
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function nameOf(file: string): string {
  return file === STDIN ? 'standard input' : file;
}

function settings(options: TranscribeCommandOptions): TranscribeOptions {
  const { language, prompt, hotwords, beamSize, maxSpeech, skipSilence, audioTrack, start, end } = options;
  // hallucinationSilenceThresholdSeconds needs word timestamps.
  const needsWords = skipSilence !== undefined || options.highlightWords === true || options.words !== undefined;
  const timestamps = options.timestamps ?? (needsWords ? 'word' : undefined);
  return {
    ...defined({ language, timestamps, initialPrompt: prompt, hotwords, beamSize, audioTrack }),
    ...defined({ clipStartSeconds: start, clipEndSeconds: end, hallucinationSilenceThresholdSeconds: skipSilence }),
    ...(options.translate === true && { task: 'translate' }),
    ...(!options.condition && { conditionOnPreviousText: false }),
    ...((options.vad === true || maxSpeech !== undefined) && { vadFilter: true }),
    ...(maxSpeech !== undefined && { vadParameters: { maxSpeechDurationS: maxSpeech } }),
    ...(options.live === true && { live: true }),
    ...(options.raw !== undefined && { raw: rawAudio(options.raw, options) }),
  };
}

function rawAudio(raw: 's16le' | 'f32le', { rate = 16_000, channels = 1 }: TranscribeCommandOptions): RawAudio {
  return { encoding: `pcm_${raw}`, sampleRateHz: rate, channelCount: channels };
}
