/** Detects misspelt environment variables. */
import { MODEL_VARIABLES } from './model-environment.js';
import { countSlips } from './nearest-word.js';
import type { VariableTable } from './variables.js';

/**
 * Returns a warning for each variable that is set, unknown to this program, and similar to a known one: `ASR_MODLE` for
 * `ASR_MODEL`. An environment has many unrelated variables, so only names of the same shape count: as many words joined by
 * underscores as the known name, each at most one edit from its counterpart (two from 6 letters on), two edits in total. Also
 * the known name in another case (`asr_model`), without its underscores, and with a `_NAME` too many or too few.
 *
 * @param table - The program's own variables, in addition to the shared ones.
 */
export function misspeltVariables(env: NodeJS.ProcessEnv, table: VariableTable): readonly string[] {
  const known = [...Object.values(MODEL_VARIABLES), ...Object.values(table)].map(({ name }) => name);
  return Object.entries(env)
    .filter(([name, value]) => !known.includes(name) && (value ?? '').trim() !== '')
    .flatMap(([name]) => {
      const meant = meantBy(name, known);
      return meant === undefined
        ? []
        : [`${name} is not a variable of this program and has no effect; did you mean ${meant}?`];
    })
    .sort();
}

const MIN_LENGTH = 6;
const MAX_LENGTH = 64;
/** Words from this length on may have two edits. */
const LONG_WORD = 6;
const MAX_SLIPS = 2;

function meantBy(name: string, known: readonly string[]): string | undefined {
  if (name.length < MIN_LENGTH || name.length > MAX_LENGTH || !/^[A-Za-z0-9_]+$/.test(name)) return undefined;
  const plain = (text: string) => text.toUpperCase().replaceAll('_', '').replace(/NAME$/, '');
  // Names of one word, such as PORT and HOST, are used by many programs.
  const ours = known.filter((candidate) => candidate.includes('_'));
  const same = ours.find((candidate) => plain(candidate) === plain(name));
  if (same !== undefined) return same;
  let best: { readonly candidate: string; readonly slips: number } | undefined;
  for (const candidate of ours) {
    const slips = slipsBetween(name.toUpperCase().split('_'), candidate.split('_'));
    if (slips <= MAX_SLIPS && slips < (best?.slips ?? Number.POSITIVE_INFINITY)) best = { candidate, slips };
  }
  return best?.candidate;
}

function slipsBetween(words: readonly string[], known: readonly string[]): number {
  if (words.length !== known.length) return Number.POSITIVE_INFINITY;
  const slips = known.map((word, index) => countSlips(words[index] ?? '', word));
  const near = known.every((word, index) => (slips[index] ?? 0) <= (word.length < LONG_WORD ? 1 : MAX_SLIPS));
  return near ? slips.reduce((sum, count) => sum + count, 0) : Number.POSITIVE_INFINITY;
}
