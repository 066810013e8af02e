import { formatCount, formatTimeLeft, visible } from '@heimdex/common';
import { assembleIndex, type IndexEntry, otherEntries, planIndex } from '../../search/build-index.js';
import { type ImageIndex, ImageIndexError, readImageIndex, writeImageIndex } from '../../search/image-index.js';
import { callWithFiles, serverFacts } from '../batches.js';
import { usageError } from '../cli-error.js';
import type { CommonOptions } from '../config.js';
import { type CliHost, type CommandContext, withClient } from '../context.js';
import type { ExitCode } from '../exit-codes.js';
import { findImages } from '../images.js';
import { bar } from '../table.js';
import { writeNamed } from '../text-sink.js';
import { expectWritable } from '../writable.js';

/** Options of `heimdex index`. */
export interface IndexCommandOptions extends CommonOptions {
  readonly index: string;
}

const BAR_CELLS = 20;

/**
 * `heimdex index DIR...`: embeds images into an index file for `heimdex search`. Unchanged images of an existing index are
 * reused.
 */
export function buildIndex(host: CliHost, paths: readonly string[], options: IndexCommandOptions): Promise<ExitCode> {
  return withClient(host, { bulk: true, ...options }, async (context) => {
    const { client, call, terminal } = context;
    await expectWritable(options.index);
    const { limits, visionModel } = await serverFacts(client, call);
    // One that is still loading is not listed: a call waits for it, or says that there is none.
    const { model } =
      visionModel === undefined ? await client.embedImage([new Uint8Array()], call) : { model: visionModel };
    const existing = await existingIndex(options.index);
    // A path that is gone may be on a volume that is not mounted: its images must not leave the index.
    const plan = await planIndex(await findImages(paths, false), options.index, existing, model);
    if (plan.otherModel)
      terminal.error(`${visible(options.index)} was built by another model: embedding all images again`);
    const entries: IndexEntry[] = [...plan.kept];
    const missing = new Map(plan.missing.map(({ path, image }) => [path, image]));
    const progress = progressOf(context, missing.size);
    const outcomes = callWithFiles([...missing.keys()], limits, context.signal, async (contents) => {
      const { results } = await client.embedImage(contents, { ...call, expectModel: model });
      return results;
    });
    const write = (others: readonly IndexEntry[] = []): Promise<void> => {
      const dimensions = entries[0]?.vector.length ?? 0;
      const index = assembleIndex(model, dimensions, [...entries, ...others]);
      return writeNamed(options.index, () => writeImageIndex(options.index, index));
    };
    try {
      for await (const { path, outcome } of outcomes) {
        const image = missing.get(path);
        if (outcome.ok && image !== undefined) entries.push({ image, vector: outcome.value.vector });
        if (!outcome.ok) context.fail(path, outcome.error);
        progress();
      }
    } catch (error) {
      // Save the progress, which may be hours of work, before an interruption or a lost server ends the run.
      const embedded = entries.length - plan.kept.length;
      if (embedded > 0 && !plan.otherModel) {
        // Images that another run has indexed meanwhile are kept.
        await write(otherEntries(await existingIndex(options.index), model, entries));
        const progressText = `${formatCount(embedded, 'image')} of ${missing.size} embedded`;
        terminal.error(`${visible(options.index)}: ${progressText}; run the same command to resume`);
      }
      throw error;
    }
    await write();
    report(context, options.index, {
      images: entries.length,
      embedded: entries.length - plan.kept.length,
      unchanged: plan.kept.length,
      gone: plan.gone,
    });
    return undefined;
  });
}

async function existingIndex(path: string): Promise<ImageIndex | undefined> {
  try {
    return await readImageIndex(path);
  } catch (error) {
    if (!(error instanceof ImageIndexError)) throw error;
    if (error.code === 'NOT_FOUND') return undefined;
    throw usageError(`${error.message}. It was not changed: choose another file, or remove it.`);
  }
}

function progressOf({ terminal }: CommandContext, total: number): () => void {
  const startMs = performance.now();
  let done = 0;
  return () => {
    done += 1;
    const rate = done / ((performance.now() - startMs) / 1000);
    const share = bar(done / total, BAR_CELLS).padEnd(BAR_CELLS);
    const left = formatTimeLeft(((total - done) / rate) * 1000);
    terminal.status(`${share} ${done} of ${formatCount(total, 'image')}, ${rate.toFixed(0)} per second, ${left} left`);
  };
}

interface Figures {
  readonly images: number;
  readonly embedded: number;
  readonly unchanged: number;
  readonly gone: number;
}

function report({ terminal, json }: CommandContext, index: string, figures: Figures): void {
  if (json) {
    terminal.json({ index, ...figures });
    return;
  }
  const { images, embedded, unchanged, gone } = figures;
  terminal.line(
    `${visible(index)}: ${formatCount(images, 'image')} (${embedded} embedded, ${unchanged} unchanged, ${gone} removed)`,
  );
}
