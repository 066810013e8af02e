import { Writable } from 'node:stream';
import { type Logger, pino } from 'pino';
import { visibleLines } from './visible.js';

export type { Logger } from 'pino';

export interface LogConfig {
  readonly level: string;
  /** `auto`: human-readable on a terminal, JSON otherwise. */
  readonly format: 'auto' | 'human' | 'json';
}

/** Destination of the log. */
export interface LogTarget {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** A record as written by pino. */
export type LogRecord = Readonly<Record<string, unknown>>;

/**
 * Opens the log: text for people, one JSON object per line for machines. Secrets are removed here, in one place.
 *
 * @param humanLine formats a record for people, without the newline
 */
export function openLog(config: LogConfig, target: LogTarget, humanLine: (record: LogRecord) => string): Logger {
  const human = config.format === 'human' || (config.format === 'auto' && target.isTTY === true);
  return pino(
    {
      level: config.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      // The name of the level, not pino's number.
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['authorization', 'token', '*.authorization', '*.token'], censor: '[secret]' },
    },
    human ? humanStream(target, humanLine) : { write: (line: string) => target.write(line) },
  );
}

/** Formats the stack of a record, if it has one. */
export function stackLines(stack: unknown): string {
  return typeof stack === 'string' ? `\n${visibleLines(stack)}` : '';
}

/** Formats pino's JSON lines for people. */
function humanStream(target: LogTarget, humanLine: (record: LogRecord) => string): Writable {
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      target.write(`${humanLine(JSON.parse(line) as LogRecord)}\n`);
      done();
    },
  });
}
