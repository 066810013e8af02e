import type { Readable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { KIB } from '@heimdex/common';

/** What is kept of a line: output without an end of line would fill the memory, and then no string could hold it. */
const MAX_LINE_CHARACTERS = 64 * KIB;

/** Calls `report` for each line of a worker's output that is not empty, cut if it is long, without a terminal's control sequences. */
export function readOutputLines(output: Readable, report: (line: string) => void): void {
  let line = '';
  const end = () => {
    const kept = line.length > MAX_LINE_CHARACTERS ? `${line.slice(0, MAX_LINE_CHARACTERS)}...` : line;
    // The runtime colours its warnings, whether they go to a terminal or not.
    const text = stripVTControlCharacters(kept);
    if (text !== '') report(text);
    line = '';
  };
  output.setEncoding('utf8').on('data', (chunk: string) => {
    for (const [index, part] of chunk.split(/[\r\n]+/).entries()) {
      if (index > 0) end();
      if (line.length <= MAX_LINE_CHARACTERS) line += part;
    }
  });
  output.on('end', end);
}
