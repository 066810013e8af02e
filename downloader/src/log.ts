import { visibleLines } from '@heimdex/common';
import {
  type LogConfig,
  type Logger,
  type LogRecord,
  type LogTarget,
  openLog as open,
  stackLines,
} from '@heimdex/common/log';

export type { Logger, LogTarget } from '@heimdex/common/log';

const LEVEL_PREFIXES: Readonly<Record<string, string>> = { warn: 'warning: ', error: 'error: ', fatal: 'error: ' };

/** Opens the downloader's log; see `@heimdex/common/log`. */
export function openLog(config: LogConfig, target: LogTarget): Logger {
  return open(config, target, humanLine);
}

/** Formats the message alone: it already contains the fields. */
function humanLine({ level, msg, stack }: LogRecord): string {
  return `${LEVEL_PREFIXES[String(level)] ?? ''}${visibleLines(String(msg))}${stackLines(stack)}`;
}
