/** Items and results exchanged with workers, by role. Plain data and typed arrays, sent over a pipe. */
import type { Area } from '../media/images/image.js';

export interface TextItem {
  readonly type: 'text';
  readonly text: string;
  readonly normalize: boolean;
  /** False: a text longer than the model's limit fails with TEXT_TOO_LONG. */
  readonly truncate: boolean;
}

export interface ImageItem {
  readonly type: 'image';
  /** The encoded image file. */
  readonly content: Uint8Array;
  readonly normalize: boolean;
}

export interface VectorResult {
  readonly vector: Float32Array;
  /** Tokens used, including special tokens and without padding; 0 for images. */
  readonly tokenCount: number;
  readonly truncated: boolean;
}

export interface FaceItem {
  readonly content: Uint8Array;
  readonly scoreThreshold: number;
  readonly nmsThreshold: number;
  /** 0: all. */
  readonly maxFaces: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Pixels of the image as shown. Right and left are the person's. */
export interface Face {
  readonly box: Area;
  readonly score: number;
  readonly landmarks: {
    readonly rightEye: Point;
    readonly leftEye: Point;
    readonly nose: Point;
    readonly rightMouthCorner: Point;
    readonly leftMouthCorner: Point;
  };
}

export interface FaceResult {
  readonly imageWidth: number;
  readonly imageHeight: number;
  /** Best first. */
  readonly faces: readonly Face[];
}
