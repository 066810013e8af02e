import { createEmbeddings } from './embeddings.js';
import { listModels, retrieveModel } from './models.js';
import type { Operation } from './operation.js';
import { createTranscription, createTranslation } from './transcriptions.js';

/** Every operation of the API: routed, published in /openapi.json and shown in /docs from here. */
export const OPERATIONS: readonly Operation[] = [
  createTranscription,
  createTranslation,
  createEmbeddings,
  listModels,
  retrieveModel,
];
