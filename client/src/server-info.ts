import { create } from '@bufbuild/protobuf';
import * as contract from '@heimdex/gen';
import type { CallOptions } from './options.js';
import { type Plain, plain } from './plain.js';
import type { Caller } from './transport/caller.js';

/** Loaded models, accepted formats and limits of a server. */
export type ServerInfo = Plain<contract.GetServerInfoResponse>;
/** One model that a server has loaded. */
export type LoadedModel = Plain<contract.LoadedModel>;

/** Calls GetServerInfo. */
export async function getServerInfo(caller: Caller, options: CallOptions): Promise<ServerInfo> {
  const request = create(contract.GetServerInfoRequestSchema);
  return plain(await caller.unary('GetServerInfo', contract.InferenceService.method.getServerInfo, request, options));
}
