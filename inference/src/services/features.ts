/** Which model answers which method, and which variable switches it on. */
import { InferenceService } from '@heimdex/gen';
import { InferenceError } from '../errors.js';
import { ROLE_SPECS, type Role } from '../models/roles.js';
import type { Models, ServedModel } from './engine.js';

/** The service's methods, from its descriptor: an rpc that the table below forgets does not compile. */
export type MethodName = Capitalize<keyof (typeof InferenceService)['method']>;

/** The models a method needs. GetServerInfo needs none. Health names the methods by this table. */
export const METHOD_ROLES = {
  Transcribe: ['speech'],
  TranscribeStream: ['speech'],
  EmbedImage: ['vision'],
  EmbedText: ['vision', 'text'],
  DetectFaces: ['faces'],
  GetServerInfo: [],
} as const satisfies Record<MethodName, readonly Role[]>;

/** The model of a role. Throws FEATURE_DISABLED when it is switched off. */
export function requireModel(models: Models, role: Role, feature: string): ServedModel {
  const model = models.get(role);
  if (model !== undefined) return model;
  throw new InferenceError(
    'FEATURE_DISABLED',
    `${feature} is switched off on this server. To switch it on, ${ROLE_SPECS[role].enable} for the downloader and the server, download, and start the server again.`,
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
