import { MODEL_VARIABLES, type Variable } from '@heimdex/cache';
import { EXIT_CODES } from './exit-codes.js';
import { SERVER_VARIABLES } from './settings.js';

const NAME_COLUMNS = 24;
const TEXT_COLUMNS = 100;

const EXIT_DOCS = {
  ok: 'success',
  unexpected: 'a defect; see the log',
  configuration: 'a variable or an option is invalid',
  models:
    'a model file is missing, damaged or unreadable: run heimdex-downloader download; prepare: the volume is not writable',
  address: 'listening on HOST and PORT failed',
  worker: 'a model failed to load, or its process keeps dying',
  memory: 'the models do not fit into the available memory',
  output: 'the output could not be written',
  interrupted: 'ended by a second signal',
} as const satisfies Record<keyof typeof EXIT_CODES, string>;

/** Returns the text of --help. */
export function helpText(): string {
  const names = Object.keys(EXIT_CODES) as (keyof typeof EXIT_CODES)[];
  return [
    'Usage: heimdex-inference [COMMAND] [OPTIONS]',
    '',
    'Serves the models that heimdex-downloader has downloaded to a volume: gRPC, gRPC-Web, Connect and HTTP on one port.',
    'Makes no network requests; serving does not write to the volume.',
    '',
    'Commands:',
    ...entry('(none)', 'Serve.'),
    ...entry(
      'prepare',
      'Write optimized models for this machine to the volume: they load faster. Needs write access to the volume.',
    ),
    '',
    'Options:',
    ...entry('--help, -h', 'Show this text.'),
    ...entry('--version, -V', 'Show the version.'),
    ...entry('--min-mb N', 'prepare: skip graphs with fewer MiB. Default: 4.'),
    '',
    'Environment, shared with heimdex-downloader:',
    ...Object.values(MODEL_VARIABLES).flatMap(variableEntry),
    '',
    'Environment:',
    ...Object.values(SERVER_VARIABLES).flatMap(variableEntry),
    '',
    'Signals:',
    ...entry('SIGTERM, SIGINT', 'Drain and exit; a second signal exits immediately.'),
    '',
    'Exit status:',
    ...names.flatMap((name) => entry(String(EXIT_CODES[name]), EXIT_DOCS[name])),
    '',
  ].join('\n');
}

function variableEntry(variable: Variable<unknown>): string[] {
  const defaultText = variable.defaultText === undefined ? '' : ` Default: ${variable.defaultText}.`;
  return entry(variable.name, `${variable.doc}${defaultText}`);
}

/** Formats a name and its wrapped text in two columns. */
function entry(name: string, text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > TEXT_COLUMNS - NAME_COLUMNS) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  const [first = '', ...rest] = [...lines, line];
  const indent = ' '.repeat(NAME_COLUMNS + 2);
  const head = `  ${name}`.padEnd(indent.length);
  const start = head.length > indent.length ? [head, `${indent}${first}`] : [`${head}${first}`];
  return [...start, ...rest.map((more) => `${indent}${more}`)];
}
