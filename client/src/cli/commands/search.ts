import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { table, visible } from '@heimdex/common';
import { type Model, modelName, valuesOf } from '../../answers.js';
import { InferenceClientError } from '../../errors.js';
import { ImageIndexError, readImageIndex } from '../../search/image-index.js';
import { rank } from '../../search/rank.js';
import { callWithFiles, serverFacts } from '../batches.js';
import { CliError, usageError } from '../cli-error.js';
import type { CommonOptions } from '../config.js';
import { type CliHost, type CommandContext, withClient } from '../context.js';
import { EXIT_CODES, type ExitCode } from '../exit-codes.js';
import { findImages } from '../images.js';
import { readNeeded } from '../read-file.js';
import { bar } from '../table.js';

/** Options of `heimdex search`. */
export interface SearchCommandOptions extends CommonOptions {
  readonly index?: string;
  readonly like?: string;
  readonly top: number;
}

/** Default index file of `heimdex index` and `heimdex search`. */
export const DEFAULT_INDEX = 'images.index';
/** What `heimdex index` wrote before. Searched for one version longer. */
const FORMER_INDEX = 'pictures.index';

/** Images with their vectors, from an index or embedded on the fly. */
interface Gallery {
  readonly paths: readonly string[];
  readonly vectors: Float32Array;
  /** Undefined if the server does not report it. */
  readonly model: Model | undefined;
}

const BAR_CELLS = 20;

/** `heimdex search WORDS FILE...`: ranks images by a text or by another image. */
export function search(host: CliHost, args: readonly string[], options: SearchCommandOptions): Promise<ExitCode> {
  const words = options.like === undefined ? args[0] : undefined;
  const paths = options.like === undefined ? args.slice(1) : args;
  if (words === undefined && options.like === undefined)
    throw usageError('Expected words to search for, or --like IMAGE');
  if (paths.length > 0 && options.index !== undefined) throw usageError('Expected images or --index FILE, got both');
  return withClient(host, options, async (context) => {
    const gallery = paths.length > 0 ? await embedGallery(context, paths) : await indexedGallery(options.index);
    const query = await embedQuery(context, words, options.like, gallery.model);
    if (gallery.vectors.length !== gallery.paths.length * query.length) {
      const dimensions = gallery.vectors.length / gallery.paths.length;
      throw new CliError(
        `A vector of the images has ${dimensions} dimensions, the query's ${query.length}: index them again (heimdex index)`,
        EXIT_CODES.failed,
      );
    }
    const found = rank(query, gallery.vectors, options.top).map(({ index, score }, position) => ({
      rank: position + 1,
      score,
      file: gallery.paths[index] ?? '',
    }));
    if (context.json) for (const result of found) context.terminal.json(result);
    else for (const line of lines(found, context.terminal.out.cyan)) context.terminal.line(line);
    return undefined;
  });
}

/** Formats the results, each with a bar relative to the best score. */
function lines(
  found: readonly { readonly rank: number; readonly score: number; readonly file: string }[],
  color: (text: string) => string,
): string[] {
  const best = found[0]?.score ?? 0;
  const rows = found.map(({ rank: position, score, file }) => [
    `${position}.`,
    score.toFixed(3),
    color(bar(best > 0 ? score / best : 0, BAR_CELLS)),
    visible(file),
  ]);
  return table(rows, [0, 1]);
}

async function embedGallery(context: CommandContext, given: readonly string[]): Promise<Gallery> {
  const { client, call, terminal } = context;
  const images = await findImages(given);
  const paths: string[] = [];
  const vectors: Float32Array[] = [];
  const { limits, visionModel: model } = await serverFacts(client, call);
  const options = { ...call, ...(model !== undefined && { expectModel: model }) };
  const outcomes = callWithFiles(
    images,
    limits,
    context.signal,
    async (contents) => (await client.embedImage(contents, options)).results,
  );
  for await (const { path, outcome } of outcomes) {
    if (outcome.ok) {
      paths.push(path);
      vectors.push(outcome.value.vector);
      terminal.status(`${paths.length} of ${images.length} images`);
    } else context.fail(path, outcome.error);
  }
  return { paths, vectors: joined(vectors), model };
}

async function indexedGallery(given: string | undefined): Promise<Gallery> {
  const path = given ?? (!existsSync(DEFAULT_INDEX) && existsSync(FORMER_INDEX) ? FORMER_INDEX : DEFAULT_INDEX);
  try {
    const { images, vectors, model } = await readImageIndex(path);
    return { paths: images.map((image) => join(dirname(path), image.path)), vectors, model };
  } catch (error) {
    if (!(error instanceof ImageIndexError)) throw error;
    if (error.code !== 'NOT_FOUND') throw usageError(error.message);
    if (given !== undefined) throw usageError(`${error.message}. To create one: heimdex index DIR --index ${given}`);
    throw usageError('Expected images or a directory to search in, or an index: heimdex index DIR');
  }
}

async function embedQuery(
  { client, call, signal }: CommandContext,
  words: string | undefined,
  like: string | undefined,
  model: Model | undefined,
): Promise<Float32Array> {
  const options = { ...call, ...(model !== undefined && { expectModel: model }) };
  try {
    const { results } =
      like === undefined
        ? await client.embedText([words ?? ''], options)
        : await client.embedImage([await readNeeded(like, signal)], options);
    const [embedding] = valuesOf(results);
    return embedding?.vector ?? new Float32Array();
  } catch (error) {
    if (!(error instanceof InferenceClientError && error.reason === 'MODEL_MISMATCH') || model === undefined)
      throw error;
    throw new CliError(
      `The images were indexed by ${modelName(model)}, but the server runs another model: index them again (heimdex index)`,
      EXIT_CODES.failed,
    );
  }
}

function joined(vectors: readonly Float32Array[]): Float32Array {
  const dimensions = vectors[0]?.length ?? 0;
  const all = new Float32Array(vectors.length * dimensions);
  for (const [index, vector] of vectors.entries()) all.set(vector, index * dimensions);
  return all;
}
