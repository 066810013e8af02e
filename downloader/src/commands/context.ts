import type { Readable } from 'node:stream';
import type { Arguments } from '../cli/arguments.js';
import type { DownloaderConfig } from '../config.js';
import type { Logger } from '../log.js';
import type { RunFigures } from '../metrics.js';
import type { Screen } from '../progress/screen.js';
import type { Remote } from '../remote.js';

/** Shared context of all commands. */
export interface CommandContext {
  readonly args: Arguments;
  readonly config: DownloaderConfig;
  /** The process environment, for child processes. */
  readonly env: NodeJS.ProcessEnv;
  readonly log: Logger;
  /** stderr: log and progress. */
  readonly screen: Screen;
  readonly stdin: Readable;
  readonly stdout: NodeJS.WritableStream;
  /** Writes a result to stdout: a text, or an object as JSON. */
  readonly print: (result: string | object) => void;
  readonly remote: Remote;
  /** Adds to the numbers of the run, which are reported also if it fails. */
  readonly count: (figures: RunFigures) => void;
  readonly signal: AbortSignal;
}
