/** Which model answers which method, and which variable switches it on. */
import { InferenceService } from '@heimdex/gen';
import { InferenceError } from '../errors.js';
import type { Role } from '../models/model.js';
import type { Models, ServedModel } from './engine.js';

/** The models a method needs. GetServerInfo needs none. Health names the methods by this table. */
export const METHOD_ROLES = {
  Transcribe: ['speech'],
  TranscribeStream: ['speech'],
  EmbedImage: ['vision'],
  EmbedText: ['vision', 'text'],
  DetectFaces: ['faces'],
  GetServerInfo: [],
} as const satisfies Record<string, readonly Role[]>;
export type MethodName = keyof typeof METHOD_ROLES;

/** How a role is switched on, as the message of FEATURE_DISABLED says it. */
export const ROLE_SWITCHES = {
  speech: 'set ASR_MODEL to a model such as base',
  vision: 'set VISION_MODEL_NAME to a model such as Xenova/siglip-base-patch16-224',
  text: 'set LOAD_BGE_M3=true',
  faces: 'set FEATURE_FACE=true',
} as const satisfies Record<Role, string>;

/** The model of a role. Throws FEATURE_DISABLED when it is switched off. */
export function requireModel(models: Models, role: Role, feature: string): ServedModel {
  const model = models.get(role);
  if (model !== undefined) return model;
  throw new InferenceError(
    'FEATURE_DISABLED',
    `${feature} is switched off on this server. To switch it on, ${ROLE_SWITCHES[role]} for the downloader and the server, download, and start the server again.`,
  );
}

/**
 * Why a call of a method would be refused for want of room, whatever it asks: every model that it may go to is full. Undefined:
 * it may come in. `path` is the service's name and the method's.
 */
export function refusalOf(models: Models, path: string): InferenceError | undefined {
  const [service, name] = path.split('/');
  if (service !== InferenceService.typeName) return undefined;
  const roles: readonly Role[] = METHOD_ROLES[name as MethodName] ?? [];
  const modelQueues = roles.flatMap((role) => models.get(role)?.modelQueue ?? []);
  // The one model there is decides; of two, only the request says which one it is for.
  return modelQueues.length === 1 ? modelQueues[0]?.refusal() : undefined;
}

/** Methods whose feature is on: one of the roles behind it is configured. */
export function enabledMethods(models: Models): readonly MethodName[] {
  const names = Object.keys(METHOD_ROLES) as MethodName[];
  return names.filter((name) => {
    const roles: readonly Role[] = METHOD_ROLES[name];
    return roles.length === 0 || roles.some((role) => models.has(role));
  });
}
