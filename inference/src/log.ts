import { Writable } from 'node:stream';
import { visible, visibleLines } from '@heimdex/cache';
import { type Logger, pino } from 'pino';
import type { LogConfig } from './config.js';

/** The destination of the log. */
export interface LogTarget {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Level labels in the human format. */
const LEVEL_LABELS: Readonly<Record<string, string>> = { warn: 'WARN', error: 'ERROR', fatal: 'FATAL' };

/** Fields that are not repeated as details in the human format. */
const HIDDEN_FIELDS = new Set(['level', 'time', 'msg', 'pid', 'hostname']);

/** Opens the log, in the human format or as one JSON object per line. Secrets are redacted only here. */
export function openLog(config: LogConfig, target: LogTarget): Logger {
  const human = config.format === 'human' || (config.format === 'auto' && target.isTTY === true);
  return pino(
    {
      level: config.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      // The level's name, as in the downloader's log, instead of pino's number.
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['authorization', 'token', '*.authorization', '*.token'], censor: '[secret]' },
    },
    human ? humanStream(target) : { write: (line: string) => target.write(line) },
  );
}

/** Converts pino's JSON lines to the human format. */
function humanStream(target: LogTarget): Writable {
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      target.write(`${humanLine(line)}\n`);
      done();
    },
  });
}

function humanLine(line: string): string {
  const record = JSON.parse(line) as Readonly<Record<string, unknown>>;
  const { err, ...others } = record;
  const time = String(record.time).slice(11, 19);
  const details = Object.entries(others)
    .filter(([name]) => !HIDDEN_FIELDS.has(name))
    .map(([name, value]) => `${name}=${visible(typeof value === 'string' ? value : JSON.stringify(value))}`);
  const label = String(record.level);
  const level = (LEVEL_LABELS[label] ?? label).padEnd(5);
  const stack = (err as { readonly stack?: string } | undefined)?.stack;
  return `${time} ${level} ${visibleLines(String(record.msg))}${details.length === 0 ? '' : `  ${details.join(' ')}`}${stack === undefined ? '' : `\n${visibleLines(stack)}`}`;
}
