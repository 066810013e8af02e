/**
 * Generates the tables of docs/reference.md between `<!-- table NAME -->` and `<!-- end -->` from the tables in the code. Writes
 * the file; `--check` compares instead. Needs a build.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { EXIT_CODES_HELP } from '../client/dist/src/cli/exit-codes.js';
import { MODEL_VARIABLES } from '../downloader/cache/dist/src/index.js';
import { DOWNLOADER_VARIABLES } from '../downloader/dist/src/config.js';
import { ERROR_CODES, EXIT_STATUS } from '../downloader/dist/src/errors.js';
import { CACHE_EXITS } from '../downloader/dist/src/run.js';
import { SERVER_VARIABLES } from '../inference/dist/src/config/settings.js';
import { ERROR_TABLE, GRPC_STATUS, HTTP_STATUS } from '../inference/dist/src/services/errors.js';

const file = new URL('../docs/reference.md', import.meta.url);

const code = (text) => `\`${text}\``;
/** Escapes text for a cell. Between backticks Markdown shows `<` as it is. */
const cell = (text) => text.replaceAll('|', '\\|').replace(/`[^`]*`|</g, (found) => (found === '<' ? '&lt;' : found));

/** Returns a Markdown table. */
function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function variables(declared) {
  const rows = Object.values(declared).map(({ name, defaultText, doc, expected }) => {
    const values = expected.startsWith('one of ') ? ` ${expected.charAt(0).toUpperCase()}${expected.slice(1)}.` : '';
    return [code(name), defaultText === undefined ? '' : code(defaultText), cell(doc) + cell(values)];
  });
  return table(['variable', 'default', 'meaning'], rows);
}

const DOWNLOADER_EXITS = {
  ok: 'success',
  unexpected: 'a bug (the log contains the stack trace), or a model that cannot be compiled or prepared here',
  usage: 'a variable, an option or the manifest is invalid; nothing was attempted',
  missing: 'a file is not on the volume, or the hub does not know the name',
  auth: 'the hub requires a token, or the token lacks a permission',
  network: 'the hub was not available until the retries ended; a later run resumes',
  disk: 'the volume is full, unwritable or unreadable, or the output cannot be written; a later run resumes',
  verification: 'hashes, sizes or names do not match',
  unverified: 'no mismatch was found, but some files have no known hash',
  interrupted: 'ended by a signal; a later run resumes',
};

/** Returns the description of an exit status. Throws Error if there is none. */
function exitDescription(name) {
  const description = DOWNLOADER_EXITS[name];
  if (description === undefined)
    throw new Error(`.ci/reference.js has no description of the downloader's exit "${name}"`);
  return description;
}

const TABLES = {
  'shared variables': () => variables(MODEL_VARIABLES),
  'downloader variables': () => variables(DOWNLOADER_VARIABLES),
  'server variables': () => variables(SERVER_VARIABLES),
  'downloader errors': () =>
    table(
      ['exit status', 'when', 'codes in the log'],
      Object.entries(EXIT_STATUS).map(([name, status]) => [
        code(status),
        exitDescription(name),
        Object.entries({ ...ERROR_CODES, ...CACHE_EXITS })
          .filter(([, exit]) => exit === name)
          .map(([error]) => code(error))
          .join(' '),
      ]),
    ),
  'client exits': () =>
    table(
      ['exit status', 'when'],
      [...EXIT_CODES_HELP.matchAll(/^ +(\d+) +(.+)$/gm)].map(([, status, when]) => [code(status), cell(when)]),
    ),
  'server errors': () =>
    table(
      ['reason', 'gRPC status', 'HTTP', 'what to do'],
      Object.entries(ERROR_TABLE).map(([reason, { status, advice }]) => [
        code(reason),
        `${code(status)} (${GRPC_STATUS[status]})`,
        String(HTTP_STATUS[status]),
        cell(advice),
      ]),
    ),
};

const found = new Set();
const before = readFileSync(file, 'utf8');
const after = before.replace(/(<!-- table (.+?) -->\n)[\s\S]*?(<!-- end -->)/g, (_, start, name, end) => {
  const make = TABLES[name];
  if (make === undefined) throw new Error(`docs/reference.md has an unknown table "${name}"`);
  found.add(name);
  return `${start}${make()}\n${end}`;
});
const missing = Object.keys(TABLES).filter((name) => !found.has(name));
if (missing.length > 0) throw new Error(`docs/reference.md has no markers for the tables: ${missing.join(', ')}`);

if (!process.argv.includes('--check')) writeFileSync(file, after);
else if (before !== after) {
  console.error('docs/reference.md: a table is out of date. Run: npm run generate');
  process.exitCode = 1;
}
