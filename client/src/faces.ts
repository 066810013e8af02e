import { create } from '@bufbuild/protobuf';
import * as contract from '@heimdex/gen';
import { checkCount, type Model, malformed, type Outcome, provenance, type Timing } from './answers.js';
import { expectBytes, expectList } from './arguments.js';
import { errorOfItem } from './convert-error.js';
import { defined } from './defined.js';
import type { CallOptions } from './options.js';
import { type Plain, plain } from './plain.js';
import type { Caller } from './transport/caller.js';

/** Options of DetectFaces. */
export interface DetectFacesOptions extends CallOptions {
  /** Minimum score of a face. 0 to 1, default 0.7. */
  readonly scoreThreshold?: number;
  /** IoU threshold of non-maximum suppression. 0 to 1, default 0.3. */
  readonly nmsThreshold?: number;
  /** Maximum faces per image, best first. Default 0: all. */
  readonly maxFaces?: number;
}

/** A point in the displayed image (after EXIF orientation), in pixels from the top left corner. */
export type Point = Plain<contract.Point>;

/** A rectangle in the displayed image, in pixels. It may extend beyond the edge. */
export type Box = Plain<contract.Box>;

/** Five landmarks. Right and left are the person's own. */
export interface Landmarks {
  readonly rightEye: Point;
  readonly leftEye: Point;
  readonly nose: Point;
  readonly rightMouthCorner: Point;
  readonly leftMouthCorner: Point;
}

/** One detected face. */
export interface Face {
  readonly box: Box;
  /** 0 to 1. */
  readonly score: number;
  readonly landmarks: Landmarks;
}

/** The faces of one image. */
export interface FaceDetections {
  /** Size of the displayed image, in pixels. */
  readonly imageWidth: number;
  readonly imageHeight: number;
  /** Sorted by score, best first. */
  readonly faces: readonly Face[];
}

/** The faces of a batch of images. */
export interface DetectedFaces {
  /** One per image, in order. */
  readonly results: readonly Outcome<FaceDetections>[];
  readonly model: Model;
  readonly timing: Timing;
}

/** Calls DetectFaces. */
export async function detectFaces(
  caller: Caller,
  images: readonly Uint8Array[],
  options: DetectFacesOptions,
): Promise<DetectedFaces> {
  expectList('images', images, expectBytes);
  const { scoreThreshold, nmsThreshold, maxFaces } = options;
  const request = create(contract.DetectFacesRequestSchema, {
    images: images.map((content) => ({ content })),
    ...defined({ scoreThreshold, nmsThreshold, maxFaces }),
  });
  const answer = await caller.unary('DetectFaces', contract.InferenceService.method.detectFaces, request, options);
  checkCount('DetectFaces', images.length, answer.results.length);
  return { results: answer.results.map(outcome), ...provenance(answer) };
}

function outcome({ result }: contract.FaceResult): Outcome<FaceDetections> {
  if (result.case === 'error') return { ok: false, error: errorOfItem(result.value) };
  if (result.case === undefined) throw malformed('DetectFaces', 'a result without detections or an error');
  const { imageWidth, imageHeight, faces } = result.value;
  return { ok: true, value: { imageWidth, imageHeight, faces: faces.map(face) } };
}

function face({ box, score, landmarks }: contract.Face): Face {
  const { rightEye, leftEye, nose, rightMouthCorner, leftMouthCorner } = landmarks ?? {};
  return {
    box: plain(box ?? create(contract.BoxSchema)),
    score,
    landmarks: {
      rightEye: point(rightEye),
      leftEye: point(leftEye),
      nose: point(nose),
      rightMouthCorner: point(rightMouthCorner),
      leftMouthCorner: point(leftMouthCorner),
    },
  };
}

function point(given: contract.Point | undefined): Point {
  return plain(given ?? create(contract.PointSchema));
}
