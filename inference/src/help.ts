import { MODEL_VARIABLES, type Variable } from '@heimdex/cache';
import { EXIT_CODES } from './exit-codes.js';
import { SERVER_VARIABLES } from './settings.js';

const NAME_COLUMNS = 24;
const TEXT_COLUMNS = 100;

const EXIT_DOCS = {
  ok: 'ended as asked',
  unexpected: 'a defect; the log has more',
  configuration: 'a variable or an option is wrong',
  models:
    'a model file is missing, damaged or cannot be read: heimdex-downloader download; prepare: the volume cannot be written',
  address: 'HOST and PORT cannot be listened on',
  worker: 'a model does not load, or its process keeps dying',
  memory: 'the models do not fit into the memory there is',
  output: 'what was asked for could not be written',
  interrupted: 'ended by a second signal',
} as const satisfies Record<keyof typeof EXIT_CODES, string>;

/** The text of --help. */
export function helpText(): string {
  const names = Object.keys(EXIT_CODES) as (keyof typeof EXIT_CODES)[];
  return [
    'Usage: heimdex-inference [COMMAND] [OPTIONS]',
    '',
    'Serves the models of a volume that heimdex-downloader has filled: gRPC, gRPC-Web, Connect and HTTP on one port.',
    'Makes no request to any network; serving writes nothing.',
    '',
    'Commands:',
    ...entry('(none)', 'Serve.'),
    ...entry(
      'prepare',
      'Leave the models in the volume in the form in which this machine loads them fastest, and end. Needs the volume read-write.',
    ),
    '',
    'Options:',
    ...entry('--help, -h', 'Show this text.'),
    ...entry('--version, -V', 'Show the version.'),
    ...entry('--min-mb N', 'prepare: leave graphs with fewer MiB as they are. Default: 4.'),
    '',
    'Environment, shared with heimdex-downloader:',
    ...Object.values(MODEL_VARIABLES).flatMap(variableEntry),
    '',
    'Environment:',
    ...Object.values(SERVER_VARIABLES).flatMap(variableEntry),
    '',
    'Signals:',
    ...entry('SIGTERM, SIGINT', 'Drain and end; a second one ends at once.'),
    '',
    'Exit status:',
    ...names.flatMap((name) => entry(String(EXIT_CODES[name]), EXIT_DOCS[name])),
    '',
  ].join('\n');
}

function variableEntry(variable: Variable<unknown>): string[] {
  const standard = variable.defaultText === undefined ? '' : ` Default: ${variable.defaultText}.`;
  return entry(variable.name, `${variable.doc}${standard}`);
}

/** A name in a column and its text beside it, wrapped. */
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
