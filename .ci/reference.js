/**
 * Generates the tables of docs/reference.md between `<!-- table NAME -->` and `<!-- end -->` from the tables in the code. Writes
 * the file; `--check` compares instead. Needs a build.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { EXIT_CODES_HELP } from '../client/dist/src/cli/exit-codes.js';
import { MODEL_VARIABLES } from '../downloader/cache/dist/src/index.js';
import { DOWNLOADER_VARIABLES } from '../downloader/dist/src/config.js';
import { ERROR_CODES, EXIT_DOCS, EXIT_STATUS } from '../downloader/dist/src/errors.js';
import { CACHE_EXITS } from '../downloader/dist/src/run.js';
import { SERVER_VARIABLES } from '../inference/dist/src/config/settings.js';
import { EXIT_CODES, EXIT_DOCS as SERVER_EXIT_DOCS } from '../inference/dist/src/exit-codes.js';
import { ERROR_TABLE, STATUSES } from '../inference/dist/src/services/errors.js';

const file = new URL('../docs/reference.md', import.meta.url);

const code = (text) => `\`${text}\``;
/** Escapes text for a cell. Between backticks Markdown shows `<` as it is. */
const cell = (text) => text.replaceAll('|', '\\|').replace(/`[^`]*`|</g, (found) => (found === '<' ? '&lt;' : found));

/** Returns a Markdown table. */
function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function variables(declared) {
  const rows = Object.values(declared).map(({ name, defaultText, doc }) => [
    code(name),
    defaultText === undefined ? '' : code(defaultText),
    cell(doc),
  ]);
  return table(['variable', 'default', 'meaning'], rows);
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
        EXIT_DOCS[name],
        Object.entries({ ...ERROR_CODES, ...CACHE_EXITS })
          .filter(([, exit]) => exit === name)
          .map(([error]) => code(error))
          .join(' '),
      ]),
    ),
  'server exits': () =>
    table(
      ['exit status', 'name', 'when'],
      Object.entries(EXIT_CODES).map(([name, status]) => [code(status), code(name), cell(SERVER_EXIT_DOCS[name])]),
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
        `${code(status)} (${STATUSES[status].grpcCode})`,
        String(STATUSES[status].httpStatus),
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
