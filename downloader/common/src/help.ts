/** The columns of `--help`. */
const TEXT_COLUMNS = 100;

/** One entry of `--help`: the name in a column of its own, the text next to it, wrapped at 100 columns. Lines joined by newlines. */
export function helpEntry(name: string, text: string, nameColumns: number): string {
  const indent = ' '.repeat(nameColumns + 2);
  const [first = '', ...rest] = wrap(text, TEXT_COLUMNS - indent.length);
  const head = `  ${name}`.padEnd(indent.length);
  const start = head.length > indent.length ? [head, `${indent}${first}`] : [`${head}${first}`];
  return [...start, ...rest.map((line) => `${indent}${line}`)].join('\n');
}

/** The entry of an environment variable, with its default. */
export function variableEntry(
  variable: { readonly name: string; readonly doc: string; readonly defaultText?: string | undefined },
  nameColumns: number,
): string {
  const standard = variable.defaultText === undefined ? '' : ` Default: ${variable.defaultText}.`;
  return helpEntry(variable.name, `${variable.doc}${standard}`, nameColumns);
}

function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > columns) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
