/** Plain HTTP: health for people and probes. */
import type { RequestListener, ServerResponse } from 'node:http';
import { GIB } from '@heimdex/common';
import { InferenceService } from '@heimdex/gen';
import type { Logger } from 'pino';
import type { ServerState } from '../../services/state.js';
import { shownPathOf } from '../calls/request-path.js';
import { isGet, refuseMethod, sendJson, sendText, type TextAnswer } from '../calls/send-text.js';

export interface PlainHttpOptions {
  readonly state: ServerState;
  readonly device: string;
  readonly log: Logger;
  /** Bytes of the server and its workers together. */
  memoryBytes(): Promise<number>;
  /** The metrics in Prometheus' text format. */
  metrics(): Promise<TextAnswer>;
}

/** Routes of the Python service, and the methods that callers of them need. */
const MOVED: Readonly<Record<string, string>> = {
  '/asr/transcribe': 'Transcribe',
  '/embed/text': 'EmbedText',
  '/embed/vision': 'EmbedImage',
  '/face/detect': 'DetectFaces',
};

/** What OpenAI's clients send if their base URL has no /v1. */
const OPENAI_PATH = /^\/(v1|models|embeddings|audio\/(transcriptions|translations))$/;

export function createPlainListener(options: PlainHttpOptions): RequestListener {
  const routes: Readonly<Record<string, (response: ServerResponse) => Promise<void>>> = {
    '/health': async (response) => {
      const { status, reason, modelsLoaded } = options.state.report();
      const body = {
        status,
        ...(reason === '' ? {} : { reason }),
        models_loaded: modelsLoaded,
        device: options.device,
        memory_used_gb: Math.round(((await options.memoryBytes()) / GIB) * 1000) / 1000,
        uptime_seconds: Math.floor(process.uptime()),
      };
      sendJson(response, status === 'healthy' ? 200 : 503, body);
    },
    '/livez': async (response) => sendJson(response, 200, { status: 'alive' }),
    '/readyz': async (response) => {
      const { status, reason } = options.state.report();
      sendJson(response, status === 'healthy' ? 200 : 503, { status, ...(reason === '' ? {} : { reason }) });
    },
    '/metrics': async (response) => {
      sendText(response, 200, await options.metrics());
    },
  };
  return (request, response) => {
    const path = shownPathOf(request);
    const route = routes[path];
    if (route === undefined) {
      return sendJson(response, 404, { error: `Not found: ${request.method} ${path}${hintFor(path)}` });
    }
    if (!isGet(request)) return refuseMethod(response, path);
    route(response).catch((error: unknown) => {
      options.log.error({ path, err: error }, 'defect');
      if (!response.headersSent) sendJson(response, 500, { error: 'Something is wrong in the server.' });
    });
  };
}

/** What the caller of a path that is not there may look for, as the end of the message. */
function hintFor(path: string): string {
  if (path === '/') return '. With PLAYGROUND=true the server has a page to try it here';
  if (path.startsWith('/v1/')) return ". With OPENAI_API=true the server has OpenAI's API";
  if (OPENAI_PATH.test(path)) return ". OpenAI's API is below /v1: end the client's base URL with it";
  if (path.startsWith(`/${InferenceService.typeName}/`)) {
    return `. Its methods: ${InferenceService.methods.map(({ name }) => name).join(', ')}`;
  }
  // Of text-embeddings-inference.
  if (path === '/embed') return '. Use POST /v1/embeddings, see docs/openai.md';
  const method = MOVED[path];
  if (method === undefined) return '';
  return `. Use POST /${InferenceService.typeName}/${method}, see docs/moving-from-the-python-service.md`;
}
