import { type Embeddings, type EmbedImageOptions, type EmbedTextOptions, embedImage, embedText } from './embedding.js';
import type { DetectedFaces, DetectFacesOptions } from './faces.js';
import { detectFaces } from './faces.js';
import { checkHealth, listHealth, type ServingStatus, watchHealth } from './health.js';
import type { AudioChunks } from './open-stream.js';
import type { CallOptions, InferenceClientOptions } from './options.js';
import { getServerInfo, type ServerInfo } from './server-info.js';
import { type TranscribeOptions, type Transcript, transcribe } from './speech.js';
import { type TranscribeEvent, transcribeStream } from './speech-stream.js';
import { Caller } from './transport/caller.js';
import type { EndpointHealth } from './transport/endpoint.js';
import { transcribeFile } from './video/transcribe-file.js';

/** One server of a client and its state. */
export interface KnownServer {
  readonly address: string;
  readonly health: EndpointHealth;
  /** True while connected. */
  readonly connected: boolean;
}

/**
 * A client of the inference service. Every call settles by its deadline: with its response or with an
 * InferenceClientError. Calls may run concurrently.
 */
export interface InferenceClient {
  /** Transcribes one audio file (or raw samples, with `raw`) and returns the complete transcript. */
  transcribe(audio: Uint8Array, options?: TranscribeOptions): Promise<Transcript>;
  /**
   * Transcribes audio while it arrives: yields each segment as soon as it is final, and the summary last. Leaving the
   * loop ends the call. Pass a function that returns a new iterable to make the call retryable until its first event.
   */
  transcribeStream(
    audio: AudioChunks | (() => AudioChunks),
    options?: TranscribeOptions,
  ): AsyncGenerator<TranscribeEvent, void, void>;
  /**
   * Transcribes a file on disk. Of a video (MP4, QuickTime, Matroska, WebM, MPEG-TS) only the audio track is sent, with
   * its original timestamps; any other file is sent unchanged.
   */
  transcribeFile(path: string, options?: TranscribeOptions): AsyncGenerator<TranscribeEvent, void, void>;
  /** Embeds encoded image files. */
  embedImage(images: readonly Uint8Array[], options?: EmbedImageOptions): Promise<Embeddings>;
  /** Embeds texts. */
  embedText(texts: readonly string[], options?: EmbedTextOptions): Promise<Embeddings>;
  /** Detects faces in images, with five landmarks per face. */
  detectFaces(images: readonly Uint8Array[], options?: DetectFacesOptions): Promise<DetectedFaces>;
  /** Returns the loaded models, accepted formats and limits. */
  getServerInfo(options?: CallOptions): Promise<ServerInfo>;
  /**
   * Returns the health of the server ('') or of one method, such as `EmbedImage` (short for
   * `heimdex.inference.v1.InferenceService/EmbedImage`, which is also accepted). Fails with NOT_FOUND for an unknown
   * name.
   */
  checkHealth(service?: string, options?: CallOptions): Promise<ServingStatus>;
  /** Returns the health of every service and method of the server. */
  listHealth(options?: CallOptions): Promise<Readonly<Record<string, ServingStatus>>>;
  /** Yields the current status and each change, until the loop is left or the signal fires. */
  watchHealth(service?: string, options?: CallOptions): AsyncGenerator<ServingStatus, void, void>;
  /** Returns the servers currently known. */
  servers(): readonly KnownServer[];
  /** Fails every open call (UNAVAILABLE, reason CLOSED) and closes every connection. Idempotent. */
  close(): void;
}

/**
 * Creates a client. Nothing is sent before the first call. With several servers it watches their health, which keeps the
 * process alive until `close()`.
 * Throws TypeError for contradictory options or an invalid address.
 */
export function createInferenceClient(options: InferenceClientOptions = {}): InferenceClient {
  const caller = new Caller(options);
  return {
    transcribe: (audio, call = {}) => transcribe(caller, audio, call),
    transcribeStream: (audio, call = {}) => transcribeStream(caller, audio, call),
    transcribeFile: (path, call = {}) => transcribeFile(caller, path, call),
    embedImage: (images, call = {}) => embedImage(caller, images, call),
    embedText: (texts, call = {}) => embedText(caller, texts, call),
    detectFaces: (images, call = {}) => detectFaces(caller, images, call),
    getServerInfo: (call = {}) => getServerInfo(caller, call),
    checkHealth: (service = '', call = {}) => checkHealth(caller, service, call),
    listHealth: (call = {}) => listHealth(caller, call),
    watchHealth: (service = '', call = {}) => watchHealth(caller, service, call),
    servers: () => caller.endpoints.map(({ address, health, connected }) => ({ address, health, connected })),
    close: () => caller.close(),
  };
}
