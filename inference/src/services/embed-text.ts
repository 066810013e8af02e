import { TextModel } from '@heimdex/gen';
import type { TextItem } from '../models/items.js';
import type { Role } from '../models/roles.js';
import { checkBatch, checkEnum } from './check.js';
import type { Models, RpcHandler, ServiceLimits } from './engine.js';
import { requireModel } from './features.js';
import { embed } from './vectors.js';

const TEXT_ROLES = {
  [TextModel.UNSPECIFIED]: 'vision',
  [TextModel.VISION]: 'vision',
  [TextModel.TEXT]: 'text',
} as const satisfies Record<TextModel, Role>;

/** EmbedText: computes the embeddings of a batch of texts. */
export function embedText(models: Models, limits: ServiceLimits): RpcHandler<'embedText'> {
  return async (request, call) => {
    const role = checkEnum('model', request.model, TEXT_ROLES);
    const other = role === 'text' ? 'vision' : 'text';
    const instead = models.has(other) ? ` It has model ${other.toUpperCase()}.` : '';
    const model = requireModel(models, role, `EmbedText with model ${role.toUpperCase()}`, instead);
    checkBatch('texts', request.texts.length, limits.maxBatchItems);
    const normalize = request.normalize ?? true;
    const truncate = request.truncate ?? true;
    const items = request.texts.map((text): TextItem => ({ type: 'text', text, normalize, truncate }));
    return embed(model, items, request.encoding, call);
  };
}
