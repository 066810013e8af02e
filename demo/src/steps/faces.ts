import { relative } from 'node:path';
import type { FaceDetections } from '@heimdex/client';
import { formatCount } from '@heimdex/common';
import type { Sandbox } from '../sandbox.js';
import type { Show } from '../show.js';

/** Images in which faces are looked for, and the directory where they are drawn. */
interface FaceImages {
  readonly images: readonly { readonly path: string }[];
  /** Number of faces by the name of an image. */
  readonly expected: Readonly<Record<string, number>>;
  readonly out: string;
}

/**
 * Detects and draws faces with the command line client. Returns the number of images with an unexpected number of faces.
 */
export async function faces(
  show: Show,
  sandbox: Sandbox,
  address: string,
  { images, expected, out }: FaceImages,
  signal: AbortSignal,
): Promise<number> {
  const dir = relative(process.cwd(), out) || '.';
  show.command(`npx heimdex detect-faces ... --draw-dir ${dir}`);
  const paths = images.map(({ path }) => path);
  const program = sandbox.start('heimdex', ['detect-faces', ...paths, '--draw-dir', out, '--json', '-a', address], {});
  await program.finish(signal);
  let wrong = 0;
  const rows = program.lines
    .filter((line) => line.startsWith('{'))
    .map((line): [string, ...string[]] => {
      const { file, faces: found, drawn }: FaceDetections & { file: string; drawn: string } = JSON.parse(line);
      const name = file.split('/').at(-1) ?? '';
      const right = found.length === expected[name];
      if (!right) wrong += 1;
      const scores = found.map(({ score }) => score.toFixed(2)).join(' ');
      return [
        name,
        right
          ? show.good(formatCount(found.length, 'face'))
          : show.bad(`${formatCount(found.length, 'face')}, expected ${expected[name]}`),
        show.color.dim(scores),
        `-> ${relative(process.cwd(), drawn)}`,
      ];
    });
  show.rows(rows);
  return wrong;
}
