export { type Model, modelName, type Outcome, sameModel, type Timing, valuesOf } from './answers.js';
export { createInferenceClient, type InferenceClient, type KnownServer } from './client.js';
export type { Embedding, Embeddings, EmbedImageOptions, EmbedTextOptions } from './embedding.js';
export {
  CallAbortedError,
  ClientClosedError,
  DeadlineExceededError,
  FeatureDisabledError,
  type FieldViolation,
  InferenceClientError,
  type InferenceClientErrorOptions,
  InvalidArgumentError,
  MessageTooLargeError,
  ModelMismatchError,
  QueueFullError,
  SourceFailedError,
  type TlsProblem,
  UnauthenticatedError,
  UnavailableError,
  UnreachableError,
} from './errors.js';
export type { Box, DetectedFaces, DetectFacesOptions, Face, FaceDetections, Landmarks, Point } from './faces.js';
export type { ServingStatus } from './health.js';
export type { AudioChunks } from './open-stream.js';
export {
  type CallOptions,
  DEFAULT_TIMEOUTS_MS,
  type InferenceClientOptions,
  METHODS,
  type MethodName,
  type Priority,
  type TlsOptions,
} from './options.js';
export type { Plain } from './plain.js';
export { DEFAULT_RETRY, type RetryOptions } from './retry.js';
export { type Ranked, rank } from './search/rank.js';
export type { LoadedModel, ServerInfo } from './server-info.js';
export type { RawAudio, Segment, TranscribeOptions, Transcript, VadParameters, Word } from './speech.js';
export type { TranscribeEvent, TranscribePartial, TranscribeSummary } from './speech-stream.js';
export { STATUS_CODES, type StatusCode } from './status.js';
export { DEFAULT_ADDRESS } from './transport/connect.js';
export type { EndpointHealth } from './transport/endpoint.js';
