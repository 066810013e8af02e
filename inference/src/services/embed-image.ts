import type { ImageItem } from '../models/items.js';
import { checkBatch } from './check.js';
import type { Models, RpcHandler, ServiceLimits } from './engine.js';
import { requireModel } from './features.js';
import { embed } from './vectors.js';

/** EmbedImage: computes the embeddings of a batch of images. */
export function embedImage(models: Models, limits: ServiceLimits): RpcHandler<'embedImage'> {
  return async (request, call) => {
    const model = requireModel(models, 'vision', 'EmbedImage');
    checkBatch('images', request.images.length, limits.maxBatchItems);
    const normalize = request.normalize ?? true;
    const items = request.images.map(({ content }): ImageItem => ({ type: 'image', content, normalize }));
    return embed(model, items, request.encoding, call);
  };
}
