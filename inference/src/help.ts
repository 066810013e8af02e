import { MODEL_VARIABLES } from '@heimdex/cache';
import { helpEntry, variableEntry } from '@heimdex/common';
import { EXIT_CODES } from './exit-codes.js';
import { SERVER_VARIABLES } from './settings.js';

const NAME_COLUMNS = 24;

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
    entry('(none)', 'Serve.'),
    entry(
      'prepare',
      'Leave the models in the volume in the form in which this machine loads them fastest, and end. Needs the volume read-write.',
    ),
    '',
    'Options:',
    entry('--help, -h', 'Show this text.'),
    entry('--version, -V', 'Show the version.'),
    entry('--min-mb N', 'prepare: leave graphs with fewer MiB as they are. Default: 4.'),
    '',
    'Environment, shared with heimdex-downloader:',
    ...Object.values(MODEL_VARIABLES).map((variable) => variableEntry(variable, NAME_COLUMNS)),
    '',
    'Environment:',
    ...Object.values(SERVER_VARIABLES).map((variable) => variableEntry(variable, NAME_COLUMNS)),
    '',
    'Signals:',
    entry('SIGTERM, SIGINT', 'Drain and end; a second one ends at once.'),
    '',
    'Exit status:',
    ...names.map((name) => entry(String(EXIT_CODES[name]), EXIT_DOCS[name])),
    '',
  ].join('\n');
}

function entry(name: string, text: string): string {
  return helpEntry(name, text, NAME_COLUMNS);
}
