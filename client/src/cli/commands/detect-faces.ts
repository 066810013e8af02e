import { realpath } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { formatCount, messageOf, table, visible } from '@heimdex/common';
import { defined } from '../../defined.js';
import { createError, type InferenceClientError } from '../../errors.js';
import type { FaceDetections } from '../../faces.js';
import { callWithFiles, serverFacts } from '../batches.js';
import { CliError, usageError } from '../cli-error.js';
import type { CommonOptions } from '../config.js';
import { type CliHost, type CommandContext, withClient } from '../context.js';
import { assertCanDraw, drawFaces } from '../draw-faces.js';
import type { ExitCode } from '../exit-codes.js';
import { findImages } from '../images.js';
import { createDir, expectWritable } from '../writable.js';

/** Options of `heimdex detect-faces`. */
export interface DetectFacesCommandOptions extends CommonOptions {
  readonly draw?: string;
  readonly drawDir?: string;
  readonly score?: number;
  readonly nms?: number;
  readonly max?: number;
}

/** `heimdex detect-faces FILE...`: detects faces, and optionally draws them on a copy of each image. */
export function detectFaces(
  host: CliHost,
  paths: readonly string[],
  options: DetectFacesCommandOptions,
): Promise<ExitCode> {
  return withClient(host, options, async (context) => {
    const { client, call } = context;
    const images = await findImages(paths);
    const target = targetOf(images, options);
    if (options.draw !== undefined || options.drawDir !== undefined) await assertCanDraw(options.draw);
    const { score: scoreThreshold, nms: nmsThreshold, max: maxFaces } = options;
    const settings = { ...call, ...defined({ scoreThreshold, nmsThreshold, maxFaces }) };
    if (options.drawDir !== undefined) await createDir(options.drawDir);
    if (options.draw !== undefined) await expectWritable(options.draw);
    await expectCopies(images, target);
    const { limits } = await serverFacts(client, call);
    const outcomes = callWithFiles(images, limits, context.signal, async (contents) => {
      const { results } = await client.detectFaces(contents, settings);
      // With what was sent, to draw on: a pipe cannot be read again, and a file may have changed.
      return results.map((outcome, index) =>
        outcome.ok ? { ok: true, value: { faces: outcome.value, image: contents[index] } } : outcome,
      );
    });
    for await (const { path, outcome } of outcomes) {
      if (!outcome.ok) {
        context.fail(path, outcome.error);
        continue;
      }
      const { faces, image } = outcome.value;
      const drawn = target(path);
      const failure = drawn === undefined || image === undefined ? undefined : await draw(image, faces, drawn);
      show(context, path, faces, failure === undefined ? drawn : undefined);
      if (failure !== undefined) context.fail(path, failure);
    }
    return undefined;
  });
}

/** Draws the faces of an image. Returns the error of an image that the server can read and sharp cannot, such as BMP. */
async function draw(
  image: Uint8Array,
  faces: FaceDetections,
  drawn: string,
): Promise<InferenceClientError | undefined> {
  try {
    await drawFaces(image, faces, drawn);
    return undefined;
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    return createError('FAILED_PRECONDITION', `its faces cannot be drawn: ${messageOf(cause)}`, {
      reason: 'NOT_DRAWN',
      cause,
    });
  }
}

/** Returns a function from an image to the path of its drawing. */
function targetOf(
  images: readonly string[],
  { draw, drawDir }: DetectFacesCommandOptions,
): (path: string) => string | undefined {
  if (draw !== undefined && drawDir !== undefined) throw usageError('Expected --draw or --draw-dir, got both');
  if (draw !== undefined && images.length !== 1) {
    throw usageError(`--draw FILE is for one image, got ${images.length}: use --draw-dir DIR`);
  }
  if (drawDir === undefined) return () => draw;
  const names = new Map(images.map((path) => [drawnName(path), path]));
  if (names.size < images.length) throw usageError('Two images have the same name: draw them in separate runs');
  return (path) => join(drawDir, drawnName(path));
}

/** Throws CliError if a drawing would replace one of the images. */
async function expectCopies(images: readonly string[], target: (path: string) => string | undefined): Promise<void> {
  const place = async (path: string) => join(await realpath(dirname(path)).catch(() => dirname(path)), basename(path));
  const places = new Set<string>();
  for (const image of images) {
    // Neither a link nor the file that it names may be lost; a pipe has no path of its own.
    places.add(await place(image)).add(await realpath(image).catch(() => image));
  }
  for (const image of images) {
    const drawn = target(image);
    if (drawn === undefined) return;
    if (places.has(await place(drawn)))
      throw usageError(`${drawn} is one of the images: draw its faces into another file`);
  }
}

function drawnName(path: string): string {
  return `${basename(path, extname(path))}.png`;
}

function show(
  { terminal, json }: CommandContext,
  path: string,
  detections: FaceDetections,
  drawn: string | undefined,
): void {
  if (json) {
    terminal.json({ file: path, ...detections, ...defined({ drawn }) });
    return;
  }
  const { faces, imageWidth, imageHeight } = detections;
  const where = drawn === undefined ? '' : ` -> ${visible(drawn)}`;
  terminal.line(
    `${visible(path)}: ${formatCount(faces.length, 'face')} ${terminal.out.dim(`in ${imageWidth} x ${imageHeight}`)}${where}`,
  );
  const rows = faces.map(({ score, box }, index) => [
    `  ${index + 1}.`,
    score.toFixed(3),
    `${pixels(box.width)} x ${pixels(box.height)} at ${pixels(box.x)}, ${pixels(box.y)}`,
  ]);
  for (const line of table(rows, [0])) terminal.line(line);
}

function pixels(length: number): string {
  return String(Math.round(length));
}
