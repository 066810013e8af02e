import { setTimeout as sleep } from 'node:timers/promises';
import { table, visible } from '@heimdex/common';
import { nowMs } from '../../clock.js';
import { InferenceClientError } from '../../errors.js';
import type { ServingStatus } from '../../health.js';
import { usageError } from '../cli-error.js';
import type { CommonOptions } from '../config.js';
import { type CliHost, type CommandContext, withClient } from '../context.js';
import { EXIT_CODES, type ExitCode } from '../exit-codes.js';

/** Options of `heimdex health`. */
export interface HealthCommandOptions extends CommonOptions {
  readonly service?: string;
  readonly watch?: boolean;
  readonly wait?: number;
}

const POLL_MS = 100;

/** `heimdex health`: shows whether the server or one method is serving. */
export function health(host: CliHost, method: string | undefined, options: HealthCommandOptions): Promise<ExitCode> {
  if (method !== undefined && options.service !== undefined)
    throw usageError('Expected a method or --service, got both');
  const service = options.service ?? method;
  return withClient(host, options, (context) => {
    if (options.watch === true) return watch(context, service ?? '');
    return options.wait === undefined ? show(context, service) : wait(context, service, options.wait);
  });
}

async function show(context: CommandContext, service: string | undefined): Promise<ExitCode> {
  const { client, call, json, terminal } = context;
  if (service !== undefined) {
    const status = await client.checkHealth(service, call);
    if (json) terminal.json({ service, status });
    else terminal.line(colored(context, status));
    return exitCodeOf(status);
  }
  const statuses = await client.listHealth(call);
  const whole = statuses[''] ?? 'UNKNOWN';
  if (json) terminal.json({ status: whole, services: statuses });
  else for (const line of table(rows(context, statuses))) terminal.line(line);
  return exitCodeOf(whole);
}

function rows(context: CommandContext, statuses: Readonly<Record<string, ServingStatus>>): string[][] {
  return Object.entries(statuses)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, status]) => [name === '' ? 'the server' : visible(name), colored(context, status)]);
}

async function watch(context: CommandContext, service: string): Promise<ExitCode> {
  const { client, call, json, terminal } = context;
  let last: ServingStatus = 'UNKNOWN';
  for await (const status of client.watchHealth(service, call)) {
    last = status;
    const time = new Date().toISOString();
    if (json) terminal.json({ time, service, status });
    else terminal.line(`${terminal.out.dim(time)}  ${colored(context, status)}`);
  }
  return exitCodeOf(last);
}

/** Polls until the status is SERVING or the timeout expires. */
async function wait(context: CommandContext, service: string | undefined, seconds: number): Promise<ExitCode> {
  const deadlineMs = nowMs() + seconds * 1000;
  for (;;) {
    const status = await reachableStatus(context, service ?? '', deadlineMs);
    if (status === 'SERVING' || nowMs() + POLL_MS > deadlineMs) return show(context, service);
    context.terminal.status(`waiting: ${status ?? 'not reachable yet'}`);
    await sleep(POLL_MS, undefined, { signal: context.signal }).catch(() => undefined);
  }
}

async function reachableStatus(
  { client, signal }: CommandContext,
  service: string,
  deadlineMs: number,
): Promise<ServingStatus | undefined> {
  try {
    return await client.checkHealth(service, {
      signal,
      timeoutMs: Math.max(1, Math.min(1_000, deadlineMs - nowMs())),
    });
  } catch (error) {
    if (error instanceof InferenceClientError && error.reason !== 'ABORTED') return undefined;
    throw error;
  }
}

function exitCodeOf(status: ServingStatus): ExitCode {
  return status === 'SERVING' ? EXIT_CODES.ok : EXIT_CODES.notServing;
}

function colored({ terminal: { out } }: CommandContext, status: ServingStatus): string {
  return status === 'SERVING' ? out.green(status) : out.red(status);
}
