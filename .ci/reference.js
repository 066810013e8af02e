/**
 * Keeps the tables of docs/reference.md true: what is between `<!-- table NAME -->` and `<!-- end -->` is made from the code's own
 * tables. Writes the file; `--check` compares instead. Needs a build.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { MODEL_VARIABLES } from '../downloader/cache/dist/src/index.js';
import { DOWNLOADER_VARIABLES } from '../downloader/dist/src/config.js';
import { ERROR_CODES as DOWNLOADER_ERRORS, EXIT_STATUS } from '../downloader/dist/src/errors.js';
import { ERROR_TABLE, GRPC_STATUS, HTTP_STATUS } from '../inference/dist/src/services/errors.js';
import { SERVER_VARIABLES } from '../inference/dist/src/settings.js';

const file = new URL('../docs/reference.md', import.meta.url);

const code = (text) => `\`${text}\``;
const cell = (text) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

/** A Markdown table. */
function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function variables(declared) {
  const rows = Object.values(declared).map(({ name, defaultText, doc, expected }) => {
    const words = expected.startsWith('one of ') ? ` ${expected.charAt(0).toUpperCase()}${expected.slice(1)}.` : '';
    return [code(name), defaultText === undefined ? '' : code(defaultText), cell(doc) + cell(words)];
  });
  return table(['variable', 'default', 'what it says'], rows);
}

const DOWNLOADER_EXITS = {
  ok: 'everything asked for is done',
  unexpected: 'a defect; the log has the stack',
  usage: 'a variable, an option or the manifest is wrong; nothing was attempted',
  missing: 'a file is not on the volume, or the hub does not know the name',
  auth: 'the hub wants a token, or the token lacks a permission',
  network: 'the hub did not answer well for as long as the retries lasted; a later run continues',
  disk: 'the volume is full, or cannot be written or read, or the output cannot be written; a later run continues',
  verification: 'bytes, sizes or names are not what they should be',
  unverified: 'nothing is wrong, but nothing says what the bytes of some files must be',
  interrupted: 'a signal ended it; a later run continues',
};

/** What an exit is for. Throws for one that nobody has described. */
function exitWords(name) {
  const words = DOWNLOADER_EXITS[name];
  if (words === undefined) throw new Error(`.ci/reference.js has no words for the downloader's exit "${name}"`);
  return words;
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
        exitWords(name),
        Object.keys(DOWNLOADER_ERRORS)
          .filter((error) => DOWNLOADER_ERRORS[error] === name)
          .map(code)
          .join(' '),
      ]),
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
  if (make === undefined)
    throw new Error(`docs/reference.md has a table "${name}" that .ci/reference.js does not know`);
  found.add(name);
  return `${start}${make()}\n${end}`;
});
const lost = Object.keys(TABLES).filter((name) => !found.has(name));
if (lost.length > 0) throw new Error(`docs/reference.md has no place for: ${lost.join(', ')}`);

if (!process.argv.includes('--check')) writeFileSync(file, after);
else if (before !== after) {
  console.error("docs/reference.md: a table differs from the code's own. Run: npm run generate");
  process.exitCode = 1;
}
