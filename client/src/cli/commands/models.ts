import { formatBinaryBytes, visible } from '@heimdex/common';
import { modelName } from '../../answers.js';
import type { LoadedModel } from '../../server-info.js';
import type { CommonOptions } from '../config.js';
import { type CliHost, withClient } from '../context.js';
import type { ExitCode } from '../exit-codes.js';
import { fitted } from '../table.js';

/** `heimdex models`: shows the models that the server has loaded. */
export function models(host: CliHost, options: CommonOptions): Promise<ExitCode> {
  return withClient(host, options, async ({ client, json, call, terminal }) => {
    const answer = await client.getServerInfo(call);
    if (json) {
      terminal.json({ models: answer.models.map(({ batchPolicy: _, ...model }) => model) });
      return undefined;
    }
    const { dim } = terminal.out;
    const head = ['ROLE', 'MODEL', 'FAMILY', 'DIMENSIONS', 'MEMORY', 'DEVICE'].map(dim);
    const rows = [head, ...answer.models.map(row)];
    for (const line of fitted(rows, [3, 4], DISPENSABLE, terminal.live ? terminal.columns : undefined))
      terminal.line(line);
    terminal.line(
      dim('Models that a server may be given, with languages, sizes and licences: heimdex-downloader models'),
    );
    return undefined;
  });
}

/** Columns dropped first on a narrow terminal: DEVICE, FAMILY. */
const DISPENSABLE = [5, 2];

function row({ role, model, family, dimensions, memoryBytes, device }: LoadedModel): string[] {
  return [
    visible(role),
    model === undefined ? '' : visible(modelName(model)),
    visible(family),
    dimensions === 0 ? '-' : String(dimensions),
    formatBinaryBytes(memoryBytes),
    visible(device),
  ];
}
