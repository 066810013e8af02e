/** GET /v1/models and GET /v1/models/{id}: the models that an operation of this API can name. */
import { InferenceService } from '@heimdex/gen';
import { InferenceError } from '../../errors.js';
import type { Role } from '../../models/roles.js';
import type { Models, ServedModel } from '../../services/engine.js';
import { jsonAnswer } from '../calls/send-text.js';
import type { OpenAiContext, Operation } from './operation.js';
import { objectOf } from './parameters.js';

/** The speech model is called by this name as well: it is what OpenAI's clients send. */
const WHISPER_ALIAS = 'whisper-1';
/** Faces have no operation here. */
const ROLES: readonly Role[] = ['speech', 'vision', 'text'];

const MODEL = objectOf({
  id: { type: 'string' },
  object: { const: 'model' },
  created: { type: 'integer' },
  owned_by: { type: 'string' },
});

/** The model of one of the roles by its id. Throws NOT_FOUND with the names that would do. */
export function modelNamed(models: Models, name: string, roles: readonly Role[]): ServedModel {
  const found = roles.flatMap((role) => models.get(role) ?? []).find((model) => namesOf(model).includes(name));
  if (found !== undefined) return found;
  const names = roles.flatMap((role) => models.get(role) ?? []).flatMap(namesOf);
  const known = names.length === 0 ? 'no model for it is configured' : `it has: ${names.join(', ')}`;
  throw new InferenceError(
    'NOT_FOUND',
    `The model ${JSON.stringify(name.slice(0, 200))} is not served for this by this server; ${known}.`,
    { field: 'model' },
  );
}

function namesOf({ role, files }: ServedModel): readonly string[] {
  return role === 'speech' ? [files.id, WHISPER_ALIAS] : [files.id];
}

const COMMON = {
  method: 'GET',
  rpc: InferenceService.method.getServerInfo,
  body: undefined,
  parameters: {},
} as const;

export const listModels: Operation = {
  ...COMMON,
  id: 'listModels',
  path: '/v1/models',
  summary: 'The models that are served, and the other name of the speech model.',
  answers: {
    'application/json': objectOf({ object: { const: 'list' }, data: { type: 'array', items: MODEL } }),
  },
  run: async (_request, context) => {
    const served = ROLES.flatMap((role) => context.models.get(role) ?? []);
    const data = served.flatMap((model) => namesOf(model).map((name) => describe(name, model, context)));
    return jsonAnswer({ object: 'list', data });
  },
};

export const retrieveModel: Operation = {
  ...COMMON,
  id: 'retrieveModel',
  path: '/v1/models/{model}',
  summary: 'One of them.',
  answers: { 'application/json': MODEL },
  run: async ({ rest }, context) => jsonAnswer(describe(rest, modelNamed(context.models, rest, ROLES), context)),
};

function describe(id: string, { files }: ServedModel, { startedAtSeconds }: OpenAiContext) {
  return { id, object: 'model', created: startedAtSeconds, owned_by: files.id.split('/')[0] };
}
