import { MODEL_VARIABLES } from '@heimdex/cache';
import { helpEntry, variableEntry } from '@heimdex/common';
import { EXIT_CODES, EXIT_DOCS, type ExitReason } from '../exit-codes.js';
import { SERVER_VARIABLES } from './settings.js';

const NAME_COLUMNS = 24;

/** Returns the text of --help. */
export function helpText(): string {
  const names = Object.keys(EXIT_CODES) as ExitReason[];
  return [
    'Usage: heimdex-inference [COMMAND] [OPTIONS]',
    '',
    'Serves the models that heimdex-downloader has downloaded to a volume: gRPC, gRPC-Web, Connect and HTTP on one port.',
    'Makes no network requests; serving does not write to the volume.',
    '',
    'Commands:',
    entry('serve', 'Serve the models. The default.'),
    entry(
      'prepare',
      'Write optimized models for this machine to the volume: they load faster. Needs write access to the volume.',
    ),
    '',
    'Options:',
    entry('--help, -h', 'Show this text.'),
    entry('--version, -V', 'Show the version.'),
    entry('--min-mb N', 'prepare: skip graphs with fewer MiB. Default: 4.'),
    entry('--all', 'prepare: compiled models of one worker too, for several servers on one machine.'),
    '',
    'Environment, shared with heimdex-downloader:',
    ...Object.values(MODEL_VARIABLES).map((variable) => variableEntry(variable, NAME_COLUMNS)),
    '',
    'Environment:',
    ...Object.values(SERVER_VARIABLES).map((variable) => variableEntry(variable, NAME_COLUMNS)),
    '',
    'Signals:',
    entry('SIGTERM, SIGINT', 'Drain and exit; a second signal exits immediately.'),
    '',
    'Exit status:',
    ...names.map((name) => entry(String(EXIT_CODES[name]), EXIT_DOCS[name])),
    '',
  ].join('\n');
}

function entry(name: string, text: string): string {
  return helpEntry(name, text, NAME_COLUMNS);
}
