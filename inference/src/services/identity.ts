import { create } from '@bufbuild/protobuf';
import { type Model, ModelSchema } from '@heimdex/gen';
import type { ServedModel } from './engine.js';

/** Converts a model's identity to the contract's Model, which is part of every response. */
export function toModel({ files }: Pick<ServedModel, 'files'>): Model {
  return create(ModelSchema, { id: files.id, revision: files.revision, variant: files.variant });
}
