/**
 * Digits as vector strokes, each on a field 10 wide and 14 high. Containers may have no fonts, so the score labels cannot
 * rely on them.
 */
const SHAPES: Readonly<Record<string, { readonly width: number; readonly strokes: string }>> = {
  '0': { width: 10, strokes: 'M5 0C1.6 0 0 3 0 7S1.6 14 5 14S10 11 10 7S8.4 0 5 0Z' },
  '1': { width: 6, strokes: 'M0.5 3.5L5 0L5 14' },
  '2': { width: 10, strokes: 'M0.4 3.8C0.4 1.2 2.4 0 5 0C8 0 9.6 1.8 9.6 4C9.6 7 5.4 9 0.4 14L10 14' },
  '3': { width: 10, strokes: 'M0.6 0L9.4 0L4.6 5.5C8 5.4 9.9 7.2 9.9 9.7C9.9 12.4 7.8 14 5 14C2.8 14 1 13.2 0 11.6' },
  '4': { width: 10, strokes: 'M7.5 14L7.5 0L0 10L10 10' },
  '5': {
    width: 10,
    strokes: 'M9 0L1.6 0L0.9 6.2C2 5.3 3.3 4.9 4.8 4.9C8 4.9 10 6.7 10 9.4C10 12.2 7.8 14 4.8 14C2.6 14 1 13.2 0 11.8',
  },
  '6': {
    width: 10,
    strokes: 'M8.6 0.6C3 0.6 0 4.5 0 9C0 12.2 2 14 5 14C8 14 10 12.2 10 9.3C10 6.6 8 5 5.2 5C2.4 5 0.4 6.8 0 9',
  },
  '7': { width: 10, strokes: 'M0 0L10 0L3.6 14' },
  '8': {
    width: 10,
    strokes:
      'M5 6.3C2.5 6.3 0.8 5.2 0.8 3.1C0.8 1.2 2.5 0 5 0S9.2 1.2 9.2 3.1C9.2 5.2 7.5 6.3 5 6.3C2 6.3 0 7.8 0 10.2C0 12.5 2 14 5 14S10 12.5 10 10.2C10 7.8 8 6.3 5 6.3Z',
  },
  '9': {
    width: 10,
    strokes: 'M1.4 13.4C7 13.4 10 9.5 10 5C10 1.8 8 0 5 0C2 0 0 1.8 0 4.7C0 7.4 2 9 4.8 9C7.6 9 9.6 7.2 10 5',
  },
  '.': { width: 1, strokes: 'M0.5 13.6L0.5 14' },
};

const FIELD_HEIGHT = 14;
const GAP = 4;

/** Digits and points as one SVG path to stroke; other characters are omitted. */
export interface NumeralsPath {
  readonly path: string;
  readonly width: number;
  readonly height: number;
}

/** Returns the path of `text`, `height` units high, with its top left corner at (0, 0). */
export function numeralsPath(text: string, height: number): NumeralsPath {
  const scale = height / FIELD_HEIGHT;
  let left = 0;
  const paths: string[] = [];
  for (const character of text) {
    const shape = SHAPES[character];
    if (shape === undefined) continue;
    paths.push(transformed(shape.strokes, left, scale));
    left += shape.width + GAP;
  }
  return { path: paths.join(''), width: Math.max(0, left - GAP) * scale, height };
}

/** Moves and scales a path of absolute commands that take pairs of coordinates. */
function transformed(strokes: string, left: number, scale: number): string {
  return strokes.replaceAll(/([\d.]+) ([\d.]+)/g, (_pair, x: string, y: string) => {
    const at = [(Number(x) + left) * scale, Number(y) * scale];
    return at.map((number) => number.toFixed(2)).join(' ');
  });
}
