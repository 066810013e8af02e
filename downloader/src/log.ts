import { Writable } from 'node:stream';
import { visibleLines } from '@heimdex/cache';
import { type Logger, pino } from 'pino';
import type { LogConfig } from './config.js';

export type { Logger } from 'pino';

/** Where the log goes. */
export interface LogTarget {
  readonly isTerminal: boolean;
  write(text: string): void;
}

const LEVEL_WORDS: Readonly<Record<string, string>> = { warn: 'warning: ', error: 'error: ', fatal: 'error: ' };

/** Opens the log: sentences for a person, one JSON object a line for a machine. Secrets are removed here, in one place. */
export function openLog(config: LogConfig, target: LogTarget): Logger {
  const human = config.format === 'human' || (config.format === 'auto' && target.isTerminal);
  const destination = human ? humanStream(target) : { write: (line: string) => target.write(line) };
  return pino(
    {
      level: config.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['token', 'authorization', '*.token', '*.authorization'], censor: '[secret]' },
    },
    destination,
  );
}

/** Takes pino's JSON lines and writes sentences. */
function humanStream(target: LogTarget): Writable {
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      target.write(`${humanLine(line)}\n`);
      done();
    },
  });
}

/** The sentence alone: what the fields say it says, too. */
function humanLine(line: string): string {
  const { level, msg, stack } = JSON.parse(line) as Readonly<Record<string, unknown>>;
  return `${LEVEL_WORDS[String(level)] ?? ''}${visibleLines(String(msg))}${typeof stack === 'string' ? `\n${visibleLines(stack)}` : ''}`;
}
