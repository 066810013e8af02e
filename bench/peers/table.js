// The table: a row a line and kind of CPU, which --write keeps in README.md.
import { readFileSync, writeFileSync } from 'node:fs';

const README = new URL('README.md', import.meta.url);
const [BEGIN, END] = ['<!-- measured -->\n', '<!-- /measured -->'];
const HEAD = '| what | CPU | peer | this server, ms a call | peer, ms | times as fast, median (range) | answers |';

/** Returns by what the CPU multiplies 8-bit matrices: `AMX`, `VNNI` or `no VNNI`; without /proc/cpuinfo `unknown`. */
export function cpuKind() {
  try {
    const flags = readFileSync('/proc/cpuinfo', 'utf8');
    if (/\bamx_int8\b/.test(flags)) return 'AMX';
    return /\b(avx512|avx)_vnni\b/.test(flags) ? 'VNNI' : 'no VNNI';
  } catch {
    return 'unknown';
  }
}

export function printHead() {
  console.log(headLines().join('\n'));
}

function headLines() {
  return [HEAD, HEAD.replace(/[^|]+/g, '---')];
}

export const rowOf = (cells) => `| ${cells.join(' | ')} |`;

/** The cells that say what a row is about: line, CPU, peer. */
const keyOf = (row) => row.split(' | ').slice(0, 3).join(' | ');

/** Replaces the rows of README.md that were measured again, and adds new ones. */
export function writeRows(rows) {
  const page = readFileSync(README, 'utf8');
  const [from, to] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
  if (from < BEGIN.length || to < from)
    throw new Error(`bench/peers/README.md has no lines ${BEGIN.trim()} and ${END}`);
  const old = page
    .slice(from, to)
    .split('\n')
    .filter((row) => row.startsWith('| ') && row !== HEAD);
  const all = new Map([...old, ...rows].map((row) => [keyOf(row), row]));
  writeFileSync(README, `${page.slice(0, from)}\n${[...headLines(), ...all.values()].join('\n')}\n\n${page.slice(to)}`);
}
