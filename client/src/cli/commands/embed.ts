import { formatCount, startOfText, visible } from '@heimdex/common';
import { mapValues, modelName } from '../../answers.js';
import type { Embedding, Embeddings } from '../../embedding.js';
import { untilAborted } from '../../wait.js';
import { callWithFiles, inBatches, serverFacts, tooLarge } from '../batches.js';
import { CliError } from '../cli-error.js';
import type { CommonOptions } from '../config.js';
import { type CliHost, type CommandContext, withClient } from '../context.js';
import { EXIT_CODES, type ExitCode } from '../exit-codes.js';
import { findImages } from '../images.js';
import { unreadable } from '../read-file.js';

/** Of a text in messages; JSON has all of it. */
const MAX_TEXT_COLUMNS = 100;

/** Options of `heimdex embed-image`. */
export interface EmbedImageCommandOptions extends CommonOptions {
  /** False with --no-normalize. */
  readonly normalize: boolean;
}

/** Options of `heimdex embed-text`. */
export interface EmbedTextCommandOptions extends EmbedImageCommandOptions {
  readonly model: 'vision' | 'text';
  /** False with --no-truncate. */
  readonly truncate: boolean;
}

/** `heimdex embed-image FILE...`: embeds images. */
export function embedImage(
  host: CliHost,
  paths: readonly string[],
  options: EmbedImageCommandOptions,
): Promise<ExitCode> {
  return withClient(host, options, async (context) => {
    const { client, call } = context;
    const images = await findImages(paths);
    const { limits } = await serverFacts(client, call);
    const outcomes = callWithFiles(images, limits, context.signal, async (contents) => {
      const answer = await client.embedImage(contents, { ...call, normalize: options.normalize });
      return mapValues(answer.results, (embedding) => ({ embedding, answer }));
    });
    for await (const { path, outcome } of outcomes) {
      if (outcome.ok) show(context, { file: path }, outcome.value.embedding, outcome.value.answer);
      else context.fail(path, outcome.error);
    }
    return undefined;
  });
}

/** `heimdex embed-text TEXT...`: embeds texts, by default the lines of standard input. */
export function embedText(
  host: CliHost,
  texts: readonly string[],
  options: EmbedTextCommandOptions,
): Promise<ExitCode> {
  return withClient(host, options, async (context) => {
    const { client, call } = context;
    const { limits } = await serverFacts(client, call);
    const { model, normalize, truncate } = options;
    const embedded = async (batch: readonly string[]) => {
      const answer = await client.embedText(batch, { ...call, model, normalize, truncate });
      return mapValues(answer.results, (embedding) => ({ embedding, answer }));
    };
    for await (const batch of inBatches(texts.length > 0 ? texts : linesOf(context), limits, Buffer.byteLength)) {
      const outcomes = await embedded(batch).catch((error: unknown) => tooLarge(error, batch));
      for (const [index, outcome] of outcomes.entries()) {
        const text = batch[index] ?? '';
        if (outcome.ok) show(context, { text }, outcome.value.embedding, outcome.value.answer);
        else context.fail(shortened(text), outcome.error, { text });
      }
    }
    return undefined;
  });
}

/**
 * The lines of standard input, a text in UTF-8, without the byte order mark that some editors write before the first. Not by
 * node:readline, of which that of Node.js 24 also ends a line at U+2028 and U+2029, as no other program does.
 */
async function* linesOf({ terminal, signal }: CommandContext): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const withoutReturn = (line: string) => (line.endsWith('\r') ? line.slice(0, -1) : line);
  let line = '';
  try {
    for await (const chunk of untilAborted(terminal.stdin as AsyncIterable<Uint8Array>, signal)) {
      const [first = '', ...others] = decoder.decode(chunk, { stream: true }).split('\n');
      line += first;
      for (const next of others) {
        yield withoutReturn(line);
        line = next;
      }
    }
    line += decoder.decode();
  } catch (cause) {
    throw unreadable('standard input', cause);
  }
  if (signal.aborted) throw new CliError('interrupted', EXIT_CODES.interrupted);
  if (line !== '') yield withoutReturn(line);
}

function show(
  { terminal, json }: CommandContext,
  input: { readonly file: string } | { readonly text: string },
  { vector, tokenCount, truncated }: Embedding,
  { model, dimensions }: Embeddings,
): void {
  const ofText = 'text' in input ? { tokenCount, truncated } : {};
  if (json) {
    terminal.json({ ...input, ...ofText, model, dimensions, vector: [...vector] });
    return;
  }
  const name = visible('text' in input ? shortened(input.text) : input.file);
  const tokens = 'text' in input ? `, ${formatCount(tokenCount, 'token')}${truncated ? ' (truncated)' : ''}` : '';
  const about = `${vector.length} dimensions${tokens}, ${visible(modelName(model))}`;
  terminal.line(`${name}  ${preview(vector)}  ${terminal.out.dim(about)}`);
}

/** The text in quotes, or the start of one that would fill the screen. */
function shortened(text: string): string {
  const quoted = JSON.stringify(text);
  const start = startOfText(quoted, MAX_TEXT_COLUMNS);
  return start === quoted ? quoted : `${start}…"`;
}

function preview(vector: Float32Array): string {
  const first = [...vector.subarray(0, 4)].map((number) => number.toFixed(4)).join(', ');
  return `[${first}${vector.length > 4 ? ', ...' : ''}]`;
}
