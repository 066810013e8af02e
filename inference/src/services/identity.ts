import { create } from '@bufbuild/protobuf';
import { type Model, ModelSchema } from '@heimdex/gen';
import type { ServedModel } from './engine.js';

/** Which model gave an answer, as every answer says. */
export function toModel({ files }: Pick<ServedModel, 'files'>): Model {
  return create(ModelSchema, { id: files.id, revision: files.revision, variant: files.variant });
}
