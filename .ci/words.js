/** Checks the words of code and pages: each row of WORDS has a private or archaic word, and the word of the field to use. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const WORDS = [
  [/\bfilms?\b/i, 'video'],
  [/\brecordings\b/i, 'audio files, clips'],
  // Not the names of fields in a golden file and in the manifest.
  [/(?<!\.)\bpictures?\b(?!:|\.index)/i, 'image'],
  [/\b(folders|(a|the) folder)\b/i, 'directory'],
  [/\bcatalogues?\b/i, 'manifest'],
  [/\binventory\b/i, 'cache state'],
  [/\bprov(e|es|ed|ing)\b/i, 'verify, show'],
  [/\brecognis/i, 'recogniz'],
  [/(optim|normal|quant|summar)is(e|ed|es|ing|ation)/i, '-ize'],
  [/\b(company|seats?|crew|wish(es)?|breathes?|makeWay|callDesk|sayCount|saySize|beNice)\b/i, 'see CONTRIBUTING.md'],
  [/\b(MOST|LEAST)_[A-Z]/, 'MAX_, MIN_'],
  [/\bhear(d|s|ing)?\b/i, 'transcribe, decode'],
  [/\bkey-values\b/i, 'KV cache'],
  [/\b(anew|mend(s|ed)?|whilst|amongst|therein|aloud)\b/i, 'plain English'],
  [
    /\b(so many|for so long|once more|gone on with|goes on with|goes between|who asks|that is none|makes room)\b/i,
    'plain English',
  ],
];

/** Generated files, data, licences, and what quotes speech. */
const SKIPPED =
  /^(CHANGELOG\.md|gen\/|LICENSES\.md|demo\/models\/|demo\/samples\/|demo\/stubs\/|bench\/speech\/clips\.js|bench\/text\/texts\.js|\.ci\/words\.js|client\/python\/src\/heimdex_client\/_proto\/)/;

const files = execFileSync('git', ['ls-files', '*.ts', '*.js', '*.mjs', '*.md', '*.py', '*.proto', '*.sh', '*.yaml'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && !SKIPPED.test(file));

const problems = [];
for (const file of files) {
  const lines = readFileSync(file, 'utf8').split('\n');
  for (const [index, line] of lines.entries()) {
    for (const [word, instead] of WORDS) {
      const found = word.exec(line);
      if (found !== null) problems.push(`${file}:${index + 1}: "${found[0]}": write ${instead}`);
    }
  }
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
