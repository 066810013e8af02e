import { type Area, crop, type Image, type Size } from '../../media/images/index.js';
import type { Face } from '../items.js';
import { type Enlargement, enlargementOf, isSmallSuspect, isTraced, TRACE, tracesOf } from './enlarge.js';
import { mergePasses, type Pass } from './merge.js';
import type { FaceNetwork } from './network.js';
import { NetworkInputs } from './network-inputs.js';
import { bestFaces, candidateFaces, type GridOutput, moveFace, overlap, type Scale } from './postprocess.js';
import { frameOf, ImageScaler, scaledSize } from './preprocess.js';
import { isCut, isSmallImage, type Level, needsTiles, pyramidOf, wholeSize } from './pyramid.js';

/** Minimum score of a suspected face. */
const SUSPECTED = 0.15;
/** A face found in a tile must have this score at the next smaller level, if it is large enough there. */
const CONFIRMED = 0.3;
/** Face size in network pixels from which YuNet gives nearly every face that score. */
const CONFIRMED_FROM = 28;
const SAME_FACE = 0.3;

export interface LookOptions {
  readonly scoreThreshold: number;
  readonly nmsThreshold: number;
  /** Whether an image above MAX_PIXELS is also searched in tiles at larger sizes, for small faces. */
  readonly tiles: boolean;
}

/**
 * Minimum score of a face found only in a tile. Tiles offer many more chances for false positives, and small faces
 * score lower: with the whole image's threshold they would return twice the faces and three times the false ones.
 * Moving the threshold a quarter of the way to 1 makes their faces as reliable as the whole image's.
 */
function surer(scoreThreshold: number): number {
  return 1 - (1 - scoreThreshold) * 0.75;
}

/**
 * Height in network pixels at which overview faces are confirmed (the larger side of one stretched in width leaves too little of it), and
 * how many are, the best first.
 */
const CONFIRMED_HEIGHT = 48;
const MAX_OVERVIEW_FACES = 16;
/**
 * Minimum mean score of a large face at two sizes, whatever the threshold: true faces have 0.92 at any size
 * (bench/vision/faces).
 */
const MAX_MEAN_SCORE = 0.8;
/** Suspected faces enlarged per pass, the best first: together 74,000 network pixels. */
const MAX_ENLARGED = 8;

/** The size an image may be decoded to; the decoder keeps twice that. Undefined: all pixels are needed. */
export function decodingTarget(shown: Size, tiles: boolean): Size | undefined {
  const { width, height } = wholeSize(shown);
  if ((tiles && needsTiles(shown)) || (width === shown.width && height === shown.height)) return undefined;
  return { width: Math.ceil(width / 2), height: Math.ceil(height / 2) };
}

/** A level of the pyramid with its pixels. */
interface ScaledLevel extends Level {
  readonly image: Image;
  /** Scale relative to the image as shown, across and down; they differ slightly because sizes are whole numbers. */
  readonly scale: Scale;
}

/** Finds faces of every size: runs the detector at the levels of a pyramid and merges the results. */
export class FaceDetector {
  readonly #scaler = new ImageScaler();
  readonly #inputs = new NetworkInputs();

  constructor(private readonly network: FaceNetwork) {}

  /**
   * Returns the faces of an image shown as `shown` (it may have been decoded smaller), best first, one box per face.
   * `yieldToEventLoop` is called between network runs and returns whether to continue; if not, the faces found so far
   * are returned.
   */
  async detect(
    image: Image,
    shown: Size,
    options: LookOptions,
    yieldToEventLoop: () => Promise<boolean>,
  ): Promise<readonly Face[]> {
    const passes: Pass[] = [];
    const levels = this.#levels(image, shown, options.tiles);
    const traced = options.tiles && this.network.fixedSide === undefined && isSmallImage(shown);
    const least = traced ? TRACE : SUSPECTED;
    let coarser: { readonly level: ScaledLevel; readonly suspects: Face[] } | undefined;
    for (const [index, level] of levels.entries()) {
      const suspects: Face[] = [];
      for (const tile of level.tiles ?? [undefined]) {
        if (passes.length > 0 && !(await yieldToEventLoop())) return mergePasses(passes);
        const found = await this.#detect(level, tile, options, least);
        suspects.push(...found.suspects);
        const sure = found.faces.filter((face) => tile === undefined || isConfirmed(face, coarser));
        const faces = level.isOverview ? await this.#confirmed(sure, level, options) : sure;
        passes.push({ level: index, faces });
        if (index < levels.length - 1 || this.network.fixedSide !== undefined) continue;
        const sought = found.suspects.filter(({ score }) => score >= SUSPECTED);
        passes.push({ level: index, faces: await this.#enlarged(sought, level, options) });
        if (!traced) continue;
        const more = await this.#traced(unseen(found.suspects, passes), level, options);
        passes.push({ level: index + 1, faces: unseen(more, passes) });
      }
      coarser = { level, suspects };
    }
    return mergePasses(passes);
  }

  /** Smallest first. Each level is made from the next larger one, so that few pixels are read more than once. */
  #levels(image: Image, shown: Size, tiles: boolean): readonly ScaledLevel[] {
    const side = this.network.fixedSide;
    const plain = side === undefined ? pyramidOf(shown, tiles) : [fixedLevel(shown, side)];
    let larger = image;
    return plain
      .toReversed()
      .map((level) => {
        const scaled = this.#scaler.scale(larger, level.size);
        const scale = { x: level.size.width / shown.width, y: level.size.height / shown.height };
        larger = scaled;
        return { ...level, image: scaled, scale };
      })
      .toReversed();
  }

  /** Faces in pixels of the image as shown: those the level is responsible for, and all suspects. */
  async #detect(
    { image, scale, smallest, largest }: ScaledLevel,
    tile: Area | undefined,
    { scoreThreshold, nmsThreshold }: LookOptions,
    suspected: number,
  ): Promise<{ readonly faces: readonly Face[]; readonly suspects: readonly Face[] }> {
    const side = this.network.fixedSide;
    const frame = side === undefined ? undefined : { width: side, height: side };
    const grids = await this.#run(tile === undefined ? image : crop(image, tile), frame);
    const least = tile === undefined ? scoreThreshold : surer(scoreThreshold);
    const suspects = bestFaces(candidateFaces(grids, scale, Math.min(suspected, least)), nmsThreshold);
    const answered = suspects.filter((face) => {
      const longest = Math.max(face.box.width * scale.x, face.box.height * scale.y);
      return face.score >= least && longest >= smallest && longest <= largest && !isCut(face.box, scale, tile, image);
    });
    if (tile === undefined) return { faces: answered, suspects };
    const move = (face: Face): Face => moveFace(face, tile.x / scale.x, tile.y / scale.y);
    return { faces: answered.map(move), suspects: suspects.map(move) };
  }

  /**
   * Confirms overview faces at CONFIRMED_HEIGHT: true faces score as high there, while false positives usually depend on
   * one size.
   */
  async #confirmed(faces: readonly Face[], level: ScaledLevel, options: LookOptions): Promise<readonly Face[]> {
    const least = Math.min(surer(options.scoreThreshold), MAX_MEAN_SCORE);
    const kept: Face[] = [];
    for (const face of faces.slice(0, MAX_OVERVIEW_FACES)) {
      const height = face.box.height * level.scale.y;
      const size = scaledSize(level.size, Math.min(1, CONFIRMED_HEIGHT / height));
      const scale = {
        x: (level.scale.x * size.width) / level.size.width,
        y: (level.scale.y * size.height) / level.size.height,
      };
      const grids = await this.#run(this.#scaler.scale(level.image, size));
      const scores = candidateFaces(grids, scale, SUSPECTED)
        .filter((other) => overlap(other.box, face.box) > SAME_FACE)
        .map(({ score }) => score);
      if ((face.score + Math.max(0, ...scores)) / 2 >= least) kept.push(face);
    }
    return kept;
  }

  /**
   * Finds faces too small to score well by enlarging the area of each suspect. Enlarged, true faces score like others
   * of that size; a threshold half the way to 1 keeps nearly all of them and few false ones.
   */
  async #enlarged(suspects: readonly Face[], level: ScaledLevel, options: LookOptions): Promise<readonly Face[]> {
    const faces: Face[] = [];
    const asked = level.tiles === undefined ? options.scoreThreshold : surer(options.scoreThreshold);
    const small = suspects.filter((face) => isSmallSuspect(face, level.scale, asked)).slice(0, MAX_ENLARGED);
    const enlargements = small.map(({ box }) => enlargementOf(box, level.scale, level.image));
    const found = await this.#search(level, enlargements, (1 + options.scoreThreshold) / 2);
    for (const [index, suspect] of small.entries()) {
      const seen = bestFaces(found[index] ?? [], options.nmsThreshold);
      const face = seen.find(({ box }) => overlap(box, suspect.box) > SAME_FACE);
      if (face !== undefined) faces.push(face);
    }
    return bestFaces(faces, options.nmsThreshold);
  }

  /**
   * Finds the faces of a small image, in its own size, that leave a mere trace there. Only the surroundings of the traces are
   * enlarged: the whole image enlarged twice costs five times as much and finds no more.
   */
  async #traced(candidates: readonly Face[], level: ScaledLevel, options: LookOptions): Promise<readonly Face[]> {
    const traces = tracesOf(candidates, level.image);
    const found = await this.#search(level, traces, surer(options.scoreThreshold));
    const faces = traces.flatMap((trace, index) =>
      (found[index] ?? []).filter((face) => isTraced(face, trace, level.image)),
    );
    return bestFaces(faces, options.nmsThreshold);
  }

  /** Candidates in each of the enlarged parts of a level, in pixels of the image as shown. Parts of one frame share a run. */
  async #search(
    { image, scale }: ScaledLevel,
    enlargements: readonly Enlargement[],
    least: number,
  ): Promise<readonly (readonly Face[])[]> {
    const found: (readonly Face[])[] = enlargements.map(() => []);
    const groups = new Map<string, number[]>();
    for (const [index, { size }] of enlargements.entries()) {
      const { width, height } = frameOf(size);
      const group = groups.get(`${width}x${height}`);
      if (group === undefined) groups.set(`${width}x${height}`, [index]);
      else group.push(index);
    }
    for (const group of groups.values()) {
      const parts = group.map((index) => enlargements[index] as Enlargement);
      const images = parts.map(({ from, size }) => this.#scaler.scale(crop(image, from), size));
      const all = await this.#runAll(images);
      for (const [at, { from, size }] of parts.entries()) {
        const enlarged = { x: (scale.x * size.width) / from.width, y: (scale.y * size.height) / from.height };
        const faces = candidateFaces(all[at] ?? [], enlarged, least);
        found[group[at] as number] = faces.map((face) => moveFace(face, from.x / scale.x, from.y / scale.y));
      }
    }
    return found;
  }

  async #run(image: Image, frame?: Size): Promise<readonly GridOutput[]> {
    const [grids] = await this.#runAll([image], frame);
    return grids ?? [];
  }

  #runAll(images: readonly Image[], frame?: Size): Promise<readonly (readonly GridOutput[])[]> {
    return this.#inputs.with(images, (input) => this.network.run(input), frame);
  }
}

function fixedLevel(shown: Size, side: number): Level {
  const size = scaledSize(shown, side / Math.max(shown.width, shown.height));
  return { size, smallest: 0, largest: Number.POSITIVE_INFINITY, tiles: undefined };
}

/** Faces not found in an earlier pass. */
function unseen(faces: readonly Face[], passes: readonly Pass[]): readonly Face[] {
  const seen = passes.flatMap((pass) => pass.faces);
  return faces.filter(({ box }) => !seen.some((other) => overlap(box, other.box) > SAME_FACE));
}

/** Whether a face of a tile is also suspected at the next smaller level, if it is large enough there. */
function isConfirmed(
  { box }: Face,
  coarser: { readonly level: ScaledLevel; readonly suspects: readonly Face[] } | undefined,
): boolean {
  if (coarser === undefined) return true;
  const { scale } = coarser.level;
  if (Math.max(box.width * scale.x, box.height * scale.y) < CONFIRMED_FROM) return true;
  return coarser.suspects.some((suspect) => suspect.score >= CONFIRMED && overlap(suspect.box, box) > SAME_FACE);
}
