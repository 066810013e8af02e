import { AUDIO_FORMATS } from '../media/audio/index.js';
import { IMAGE_FORMATS } from '../media/images/formats.js';
import { VERSION } from '../version.js';
import type { Models, RpcHandler, ServedModel, ServiceLimits } from './engine.js';
import { toModel } from './identity.js';
import { roundTime } from './rounding.js';

/** GetServerInfo: returns the loaded models, the accepted formats and the limits. */
export function getServerInfo(models: Models, limits: ServiceLimits): RpcHandler<'getServerInfo'> {
  return async () => ({
    version: VERSION,
    uptimeSeconds: roundTime(process.uptime()),
    models: await Promise.all([...models.values()].filter(({ facts }) => facts !== undefined).map(describe)),
    limits: {
      maxMessageBytes: BigInt(limits.maxMessageBytes),
      maxBatchItems: limits.maxBatchItems,
      maxAudioSeconds: limits.maxAudioSeconds,
      maxImagePixels: BigInt(limits.maxImagePixels),
      maxQueue: limits.maxQueue,
    },
    audioFormats: [...AUDIO_FORMATS],
    imageFormats: IMAGE_FORMATS.map((format) => format.toLowerCase()),
  });
}

async function describe(model: ServedModel) {
  const { role, facts, device, loadSeconds, workers, threads, batchCost, costUnit } = model;
  return {
    role,
    model: toModel(model),
    dimensions: facts?.dimensions ?? 0,
    device,
    loadSeconds: roundTime(loadSeconds),
    memoryBytes: BigInt(await model.memoryBytes()),
    family: model.healthName,
    workers,
    threads,
    ...(facts === undefined ? {} : { batchPolicy: { ...facts.batching, maxCost: batchCost, costUnit } }),
  };
}
