import type { Face, Point } from '../items.js';

/** Strides of the three grids, in network pixels. */
export const STRIDES = [8, 16, 32] as const;

/** The values of one grid's cells, row by row. */
export interface GridOutput {
  readonly stride: number;
  /** Cells per row. */
  readonly columns: number;
  /** Face score and box quality, after the sigmoid. */
  readonly cls: Float32Array;
  readonly obj: Float32Array;
  /** Four per cell: centre relative to the cell's corner in strides, logarithms of width and height in strides. */
  readonly bbox: Float32Array;
  /** Five points per cell, relative to the cell's corner in strides. */
  readonly kps: Float32Array;
}

/** Maximum candidates for suppression, and maximum faces of an image, the best first; OpenCV's top_k. */
export const MAX_CANDIDATES = 5000;

/** Network pixels per image pixel, across and down. */
export interface Scale {
  readonly x: number;
  readonly y: number;
}

/**
 * Returns the candidate faces in pixels of the image, unordered, several per face. The score is sqrt(cls * obj).
 * Method: OpenCV's FaceDetectorYN.
 */
export function candidateFaces(grids: readonly GridOutput[], scale: Scale, scoreThreshold: number): readonly Face[] {
  return grids.flatMap((grid) => candidatesOf(grid, scale, scoreThreshold));
}

/** Best first, one per face. */
export function bestFaces(candidates: readonly Face[], nmsThreshold: number): readonly Face[] {
  const best = candidates.toSorted((one, other) => other.score - one.score).slice(0, MAX_CANDIDATES);
  return suppress(best, nmsThreshold);
}

function candidatesOf(grid: GridOutput, scale: Scale, threshold: number): Face[] {
  const faces: Face[] = [];
  for (let cell = 0; cell < grid.cls.length; cell += 1) {
    const score = Math.sqrt(probability(grid.cls[cell]) * probability(grid.obj[cell]));
    if (score >= threshold) faces.push(faceAt(grid, cell, score, scale));
  }
  return faces;
}

function probability(value: number | undefined): number {
  return Math.min(1, Math.max(0, value ?? 0));
}

function faceAt(grid: GridOutput, cell: number, score: number, scale: Scale): Face {
  const across = grid.stride / scale.x;
  const down = grid.stride / scale.y;
  const column = cell % grid.columns;
  const row = Math.floor(cell / grid.columns);
  const box = (index: number): number => grid.bbox[cell * 4 + index] ?? 0;
  const point = (index: number): Point => ({
    x: (column + (grid.kps[cell * 10 + index * 2] ?? 0)) * across,
    y: (row + (grid.kps[cell * 10 + index * 2 + 1] ?? 0)) * down,
  });
  const width = Math.exp(box(2)) * across;
  const height = Math.exp(box(3)) * down;
  return {
    box: { x: (column + box(0)) * across - width / 2, y: (row + box(1)) * down - height / 2, width, height },
    score,
    landmarks: {
      rightEye: point(0),
      leftEye: point(1),
      nose: point(2),
      rightMouthCorner: point(3),
      leftMouthCorner: point(4),
    },
  };
}

/**
 * Greedy non-maximum suppression: of faces that overlap by more than `threshold` the best is kept. `faces` must be
 * sorted, best first.
 */
export function suppress(faces: readonly Face[], threshold: number): readonly Face[] {
  const kept: Face[] = [];
  for (const face of faces) {
    if (kept.every((other) => overlap(face.box, other.box) <= threshold)) kept.push(face);
  }
  return kept;
}

/** Intersection over union, 0 to 1. */
export function overlap(one: Face['box'], other: Face['box']): number {
  const shared = sharedArea(one, other);
  return shared === 0 ? 0 : shared / (areaOf(one) + areaOf(other) - shared);
}

export function sharedArea(one: Face['box'], other: Face['box']): number {
  const width = Math.min(one.x + one.width, other.x + other.width) - Math.max(one.x, other.x);
  const height = Math.min(one.y + one.height, other.y + other.height) - Math.max(one.y, other.y);
  return width > 0 && height > 0 ? width * height : 0;
}

export function areaOf({ width, height }: Face['box']): number {
  return width * height;
}

/** Translates a face's box and points. */
export function moveFace({ box, score, landmarks }: Face, x: number, y: number): Face {
  const move = (point: Point): Point => ({ x: point.x + x, y: point.y + y });
  return {
    box: { ...box, x: box.x + x, y: box.y + y },
    score,
    landmarks: {
      rightEye: move(landmarks.rightEye),
      leftEye: move(landmarks.leftEye),
      nose: move(landmarks.nose),
      rightMouthCorner: move(landmarks.rightMouthCorner),
      leftMouthCorner: move(landmarks.leftMouthCorner),
    },
  };
}
