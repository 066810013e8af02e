import type { InferenceService } from '@heimdex/gen';
import type { ImageItem, VectorResult } from '../models/items.js';
import { runBatch } from './batch.js';
import { checkBatch, checkEnum } from './check.js';
import type { Models, ServiceLimits } from './engine.js';
import { requireModel } from './features.js';
import { toModel } from './identity.js';
import type { MethodHandler } from './service.js';
import { ENCODINGS, toEmbeddingResult } from './vectors.js';

/** EmbedImage: computes the embeddings of a batch of images. */
export function embedImage(
  models: Models,
  limits: ServiceLimits,
): MethodHandler<typeof InferenceService.method.embedImage> {
  return async (request, call) => {
    const model = requireModel(models, 'vision', 'EmbedImage');
    checkBatch('images', request.images.length, limits.maxBatchItems);
    const encoding = checkEnum('encoding', request.encoding, ENCODINGS);
    const normalize = request.normalize ?? true;
    const items = request.images.map(({ content }): ImageItem => ({ type: 'image', content, normalize }));
    const { results, timing } = await runBatch<ImageItem, VectorResult>(model, items, call);
    return {
      results: results.map((result) => toEmbeddingResult(result, encoding)),
      dimensions: model.facts?.dimensions ?? 0,
      model: toModel(model),
      timing,
    };
  };
}
