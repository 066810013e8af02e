/** Which models each method needs, and which variable enables them. */
import { InferenceService } from '@heimdex/gen';
import { InferenceError } from '../errors.js';
import { ROLE_SPECS, type Role } from '../models/roles.js';
import type { Priority } from '../priority.js';
import type { Models, ServedModel } from './engine.js';

/** The service's methods, from its descriptor: an rpc missing in the table below does not compile. */
export type MethodName = Capitalize<keyof (typeof InferenceService)['method']>;

/** The models that each method needs. Health lists the methods of this table. */
export const METHOD_ROLES: Readonly<Record<MethodName, readonly Role[]>> = {
  Transcribe: ['speech'],
  TranscribeStream: ['speech'],
  EmbedImage: ['vision'],
  EmbedText: ['vision', 'text'],
  DetectFaces: ['faces'],
  GetServerInfo: [],
};

/** Returns the model of a role. Throws FEATURE_DISABLED if it is not configured. `instead` says what this server offers in its place. */
export function requireModel(models: Models, role: Role, feature: string, instead = ''): ServedModel {
  const model = models.get(role);
  if (model !== undefined) return model;
  throw new InferenceError(
    'FEATURE_DISABLED',
    `${feature} is disabled on this server.${instead} To enable it, ${ROLE_SPECS[role].enable} for the downloader and the server, run the downloader and restart the server.`,
  );
}

/**
 * Returns why any call of a method and priority would be refused now, before its request is read: the queue of its model is full.
 * Undefined: the call may proceed. `path` is `<service>/<method>`.
 */
export function refusalOf(models: Models, path: string, priority: Priority): InferenceError | undefined {
  const [service, name] = path.split('/');
  if (service !== InferenceService.typeName) return undefined;
  const modelQueues = METHOD_ROLES[name as MethodName]?.flatMap((role) => models.get(role)?.modelQueue ?? []);
  // With two models, only the request says which one it is for.
  return modelQueues?.length === 1 ? modelQueues[0]?.refusal(priority) : undefined;
}

/** Returns the methods with at least one configured model. */
export function enabledMethods(models: Models): readonly MethodName[] {
  const names = Object.keys(METHOD_ROLES) as MethodName[];
  return names.filter((name) => METHOD_ROLES[name].length === 0 || METHOD_ROLES[name].some((role) => models.has(role)));
}
