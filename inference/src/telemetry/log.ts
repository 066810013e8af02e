import { visible, visibleLines } from '@heimdex/common';
import {
  type LogConfig,
  type Logger,
  type LogRecord,
  type LogTarget,
  openLog as open,
  stackLines,
} from '@heimdex/common/log';

const LEVEL_NAMES: Readonly<Record<string, string>> = { warn: 'WARN', error: 'ERROR', fatal: 'FATAL' };
/** Fields that every JSON line has. */
const HIDDEN_FIELDS = new Set(['level', 'time', 'msg', 'pid', 'hostname']);

/** Opens the server's log; see `@heimdex/common/log`. */
export function openLog(config: LogConfig, target: LogTarget): Logger {
  return open(config, target, humanLine);
}

/** Time, level, message and every other field as `name=value`. */
function humanLine({ err, ...others }: LogRecord): string {
  const time = String(others.time).slice(11, 19);
  const details = Object.entries(others)
    .filter(([name]) => !HIDDEN_FIELDS.has(name))
    .map(([name, value]) => `${name}=${visible(typeof value === 'string' ? value : JSON.stringify(value))}`);
  const name = String(others.level);
  const level = (LEVEL_NAMES[name] ?? name).padEnd(5);
  const stack = stackLines((err as { readonly stack?: string } | undefined)?.stack);
  return `${time} ${level} ${visibleLines(String(others.msg))}${details.length === 0 ? '' : `  ${details.join(' ')}`}${stack}`;
}
