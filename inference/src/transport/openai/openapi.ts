/** The table of operations as OpenAPI 3.1. */
import { VERSION } from '../../version.js';
import type { Operation } from './operation.js';
import { type JsonSchema, objectOf } from './parameters.js';

const ERROR = objectOf({
  error: objectOf({
    message: { type: 'string' },
    type: { enum: ['invalid_request_error', 'rate_limit_error', 'server_error'] },
    param: { type: ['string', 'null'] },
    code: { type: ['string', 'null'] },
  }),
});

export function openApiDocument(operations: readonly Operation[]): JsonSchema {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Heimdex inference, OpenAI API',
      version: VERSION,
      description: 'What OpenAI’s clients speak, over the same models, limits and tokens as gRPC and Connect.',
    },
    paths: Object.fromEntries(
      operations.map((operation) => [operation.path, { [operation.method.toLowerCase()]: describe(operation) }]),
    ),
    components: {
      schemas: { Error: ERROR },
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'Where AUTH_TOKENS_FILE is set.' } },
    },
    security: [{}, { token: [] }],
  };
}

function describe({ id, summary, path, body, parameters, answers }: Operation): JsonSchema {
  const isForm = body === 'multipart/form-data';
  const entries = Object.entries(parameters);
  const schema = {
    type: 'object',
    additionalProperties: false,
    required: entries.flatMap(([name, parameter]) => (parameter.required ? [name] : [])),
    properties: Object.fromEntries(
      entries.map(([name, { many, schema }]) => [isForm && many ? `${name}[]` : name, schema]),
    ),
  };
  const content = Object.fromEntries(Object.entries(answers).map(([type, answer]) => [type, { schema: answer }]));
  const error = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } };
  return {
    operationId: id,
    summary,
    ...(path.endsWith('{model}') && {
      parameters: [{ name: 'model', in: 'path', required: true, schema: { type: 'string' } }],
    }),
    ...(body !== undefined && { requestBody: { required: true, content: { [body]: { schema } } } }),
    responses: {
      200: { description: 'The answer.', content },
      default: { description: 'An error.', content: error },
    },
  };
}
