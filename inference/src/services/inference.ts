import { InferenceService } from '@heimdex/gen';
import { detectFaces } from './detect-faces.js';
import { embedImage } from './embed-image.js';
import { embedText } from './embed-text.js';
import type { Models, ServiceLimits } from './engine.js';
import { getServerInfo } from './get-server-info.js';
import { defineService, type ServedService } from './service.js';
import { transcribe } from './transcribe.js';
import { transcribeStream } from './transcribe-stream.js';

/** Creates heimdex.inference.v1.InferenceService for the given models. */
export function inferenceService(models: Models, limits: ServiceLimits): ServedService {
  return defineService(InferenceService, {
    transcribe: transcribe(models, limits),
    transcribeStream: transcribeStream(models, limits),
    embedImage: embedImage(models, limits),
    embedText: embedText(models, limits),
    detectFaces: detectFaces(models, limits),
    getServerInfo: getServerInfo(models, limits),
  });
}
