import { type Embeddings, type EmbedImageOptions, type EmbedTextOptions, embedImage, embedText } from './embedding.js';
import type { DetectedFaces, DetectFacesOptions } from './faces.js';
import { detectFaces } from './faces.js';
import { transcribeFile } from './film/transcribe-file.js';
import { checkHealth, listHealth, type ServingStatus, watchHealth } from './health.js';
import type { AudioChunks } from './open-stream.js';
import type { CallOptions, InferenceClientOptions } from './options.js';
import { getServerInfo, type ServerInfo } from './server-info.js';
import { type TranscribeOptions, type Transcript, transcribe } from './speech.js';
import { type TranscribeEvent, transcribeStream } from './speech-stream.js';
import { Caller } from './transport/caller.js';
import type { EndpointHealth } from './transport/endpoint.js';

/** One server of a client, and what is known of it. */
export interface KnownServer {
  readonly address: string;
  readonly health: EndpointHealth;
  /** True while a connection stands. */
  readonly connected: boolean;
}

/**
 * A client of the inference service. Every call ends: with its answer, or with an InferenceClientError at its deadline at
 * the latest. Calls may run side by side.
 */
export interface InferenceClient {
  /** Speech to text: one audio file in its file format (or raw samples, with `raw`), the whole result out. */
  transcribe(audio: Uint8Array, options?: TranscribeOptions): Promise<Transcript>;
  /**
   * Speech to text while the audio arrives: each segment as soon as it is final, the summary last. Leaving the loop
   * ends the call. A function that gives the audio anew lets the call be sent again where nothing has come out yet.
   */
  transcribeStream(
    audio: AudioChunks | (() => AudioChunks),
    options?: TranscribeOptions,
  ): AsyncGenerator<TranscribeEvent, void, void>;
  /**
   * Speech to text of a file on the disk. Of a film (MP4, QuickTime, Matroska, WebM, MPEG-TS with images) the audio track alone
   * is sent, at its times in the film; any other file as it is.
   */
  transcribeFile(path: string, options?: TranscribeOptions): AsyncGenerator<TranscribeEvent, void, void>;
  /** Images, in their file formats, to vectors. */
  embedImage(images: readonly Uint8Array[], options?: EmbedImageOptions): Promise<Embeddings>;
  /** Texts to vectors. */
  embedText(texts: readonly string[], options?: EmbedTextOptions): Promise<Embeddings>;
  /** Faces in images, with five landmarks each. */
  detectFaces(images: readonly Uint8Array[], options?: DetectFacesOptions): Promise<DetectedFaces>;
  /** What is loaded, what it accepts, its limits. */
  getServerInfo(options?: CallOptions): Promise<ServerInfo>;
  /**
   * Whether the server serves: as a whole (''), or one method, such as `EmbedImage` (short for
   * `heimdex.inference.v1.InferenceService/EmbedImage`, which is understood as well).
   * An unknown name: NOT_FOUND.
   */
  checkHealth(service?: string, options?: CallOptions): Promise<ServingStatus>;
  /** The status of everything the server has. */
  listHealth(options?: CallOptions): Promise<Readonly<Record<string, ServingStatus>>>;
  /** The status now, and each change, until the loop is left or the signal fires. */
  watchHealth(service?: string, options?: CallOptions): AsyncGenerator<ServingStatus, void, void>;
  /** The servers this client may send to at present. */
  servers(): readonly KnownServer[];
  /** Ends every call (UNAVAILABLE, reason CLOSED) and connection. Idempotent. */
  close(): void;
}

/**
 * Makes a client. Nothing is sent before the first call. With several servers their health is watched, which keeps the
 * process alive until `close()`.
 *
 * @throws TypeError for options that contradict each other or an address that cannot be read
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
