import { MODEL_VARIABLES } from '@heimdex/cache';
import { helpEntry as entry, variableEntry } from '@heimdex/common';
import { DOWNLOADER_VARIABLES } from '../config.js';
import { EXIT_DOCS, EXIT_STATUS, type ExitName } from '../errors.js';
import { COMMANDS, OPTIONS } from './arguments.js';

/** Returns the text of --help. */
export function helpText(): string {
  const commands = Object.entries(COMMANDS).map(([name, shape]) =>
    entry(`${name}${'argument' in shape ? ` ${shape.argument}` : ''}`, shape.doc, 13),
  );
  const options = Object.entries(OPTIONS).map(([name, option]) => {
    const short = 'short' in option ? `-${option.short}, ` : '';
    const takers = Object.entries(COMMANDS).filter(([, shape]) => shape.options.some((taken) => taken === name));
    const of = takers.length === 0 ? '' : `${takers.map(([command]) => command).join(', ')}: `;
    return entry(`${short}--${name}${'value' in option ? ` ${option.value}` : ''}`, `${of}${option.doc}`, 23);
  });
  const variables = [...Object.values(MODEL_VARIABLES), ...Object.values(DOWNLOADER_VARIABLES)].map((variable) =>
    variableEntry(variable, 26),
  );
  const names = Object.keys(EXIT_STATUS) as ExitName[];
  const exits = names.map((name) => entry(String(EXIT_STATUS[name]), EXIT_DOCS[name], 5));
  return [
    'Usage: heimdex-downloader [COMMAND] [FILE] [OPTIONS]',
    '',
    'Downloads the models to the volume so that the server can start without a network, then exits.',
    '',
    'Commands:',
    ...commands,
    '',
    'Options:',
    ...options,
    '',
    'Environment:',
    ...variables,
    entry('HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY', 'The proxy, and the hosts to reach directly.', 26),
    entry('NODE_EXTRA_CA_CERTS', 'File with certificates of your own authority.', 26),
    '',
    'Exit status:',
    ...exits,
    '',
  ].join('\n');
}
