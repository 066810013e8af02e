import { create } from '@bufbuild/protobuf';
import { type FaceResult, FaceResultSchema } from '@heimdex/gen';
import type { FaceItem, FaceResult as FoundFaces } from '../models/items.js';
import { type ItemResult, runBatch } from './batch.js';
import { checkBatch, checkNumber, fraction } from './check.js';
import type { Models, RpcHandler, ServiceLimits } from './engine.js';
import { toStatus } from './errors.js';
import { requireModel } from './features.js';
import { toModel } from './identity.js';

const DEFAULT_SCORE_THRESHOLD = 0.7;
const DEFAULT_NMS_THRESHOLD = 0.3;

/** DetectFaces: detects the faces of a batch of images. */
export function detectFaces(models: Models, limits: ServiceLimits): RpcHandler<'detectFaces'> {
  return async (request, call) => {
    const model = requireModel(models, 'faces', 'DetectFaces');
    checkBatch('images', request.images.length, limits.maxBatchItems);
    const options = {
      scoreThreshold: checkNumber('score_threshold', request.scoreThreshold, fraction(DEFAULT_SCORE_THRESHOLD)),
      nmsThreshold: checkNumber('nms_threshold', request.nmsThreshold, fraction(DEFAULT_NMS_THRESHOLD)),
      maxFaces: request.maxFaces ?? 0,
    };
    const items = request.images.map(({ content }): FaceItem => ({ content, ...options }));
    const { results, timing } = await runBatch<FaceItem, FoundFaces>(model, items, call);
    return { results: results.map(toFaceResult), model: toModel(model), timing };
  };
}

function toFaceResult(item: ItemResult<FoundFaces>): FaceResult {
  if (!item.ok) return create(FaceResultSchema, { result: { case: 'error', value: toStatus(item.error) } });
  const { imageWidth, imageHeight, faces } = item.value;
  return create(FaceResultSchema, {
    result: { case: 'detections', value: { imageWidth, imageHeight, faces: faces.map((face) => ({ ...face })) } },
  });
}
