import { formatBinaryBytes, formatDuration, table, visible } from '@heimdex/common';
import { modelName } from '../../answers.js';
import type { ServerInfo } from '../../server-info.js';
import type { CommonOptions } from '../config.js';
import { type CliHost, withClient } from '../context.js';
import type { ExitCode } from '../exit-codes.js';
import { fitted } from '../table.js';

/** `heimdex info`: shows the loaded models, accepted formats and limits. */
export function info(host: CliHost, options: CommonOptions): Promise<ExitCode> {
  return withClient(host, options, async ({ client, json, call, terminal }) => {
    const answer = await client.getServerInfo(call);
    if (json) terminal.json(answer);
    else
      for (const line of infoLines(answer, terminal.out.dim, terminal.live ? terminal.columns : undefined))
        terminal.line(line);
    return undefined;
  });
}

/** Columns dropped first on a narrow terminal: FAMILY, DEVICE, BATCHES, WORKERS. */
const DISPENSABLE = [2, 4, 8, 5];

/**
 * Formats the response for display.
 *
 * @param width maximum characters per line; undefined: unlimited
 */
function infoLines(answer: ServerInfo, dim: (text: string) => string, width?: number): string[] {
  const { version, uptimeSeconds, models, limits, audioFormats, imageFormats } = answer;
  const head = ['ROLE', 'MODEL', 'FAMILY', 'DIMENSIONS', 'DEVICE', 'WORKERS', 'LOADED IN', 'MEMORY', 'BATCHES'].map(
    dim,
  );
  const rows = models.map((loaded) => [
    visible(loaded.role),
    loaded.model === undefined ? '' : visible(modelName(loaded.model)),
    visible(loaded.family),
    loaded.dimensions === 0 ? '-' : String(loaded.dimensions),
    visible(loaded.device),
    `${loaded.workers} x ${loaded.threads} thread${loaded.threads === 1 ? '' : 's'}`,
    `${loaded.loadSeconds.toFixed(2)} s`,
    formatBinaryBytes(loaded.memoryBytes),
    loaded.batchPolicy?.shared === true ? `up to ${loaded.batchPolicy.maxItems}` : 'no',
  ]);
  const accepts = [
    ['audio', visible(audioFormats.join(', '))],
    ['images', visible(imageFormats.join(', '))],
    ['limits', limits === undefined ? '' : limitsText(limits)],
  ].map(([name = '', value = '']) => [dim(name), value]);
  return [
    `Heimdex inference ${visible(version)}, up ${formatDuration(uptimeSeconds * 1000)}`,
    '',
    ...fitted([head, ...rows], [3, 6, 7], DISPENSABLE, width),
    '',
    ...table(accepts),
  ];
}

function limitsText(limits: NonNullable<ServerInfo['limits']>): string {
  return [
    `${formatBinaryBytes(limits.maxMessageBytes)} per message`,
    `${limits.maxBatchItems} items per call`,
    `${formatDuration(limits.maxAudioSeconds * 1000)} of audio`,
    `${Math.round(limits.maxImagePixels / 1e6)} megapixels`,
    `${limits.maxQueue} queued items per model`,
  ].join(', ');
}
