import { type InferenceClient, type Ranked, rank, valuesOf } from '@heimdex/client';
import type { Sample } from '../samples.js';
import { formatMs, type Show } from '../show.js';

/** The label of a sample image, and its rank with the reference implementation. */
export interface ImageMetadata {
  readonly label: string;
  readonly rank: number;
}

/** Labels whose results are printed; all labels are counted. */
const SHOWN = ['elephant', 'bicycle', 'birthday cake', 'sunflower', 'owl'];
const BEST = 3;

/** Searches images by text. Returns how many labels rank their image first, here and with the reference. */
export async function search(
  show: Show,
  client: InferenceClient,
  images: readonly Sample[],
  names: Readonly<Record<string, ImageMetadata>>,
  signal: AbortSignal,
): Promise<{ readonly found: number; readonly reference: number }> {
  const startMs = performance.now();
  const embedded = await client.embedImage(
    images.map(({ content }) => content),
    { signal },
  );
  valuesOf(embedded.results); // Every image must have succeeded.
  const perImage = formatMs((performance.now() - startMs) / images.length);
  show.item('images', `${images.length} embedded, ${perImage} each, ${embedded.dimensions} dimensions`);

  const labels = images.map(({ name }) => names[name]?.label ?? '');
  const textMs = performance.now();
  const answer = await client.embedText(labels, { signal, expectModel: embedded.model });
  const queries = valuesOf(answer.results);
  show.item('words', `${labels.length} embedded, ${formatMs((performance.now() - textMs) / labels.length)} each`);
  show.line();

  let found = 0;
  for (const [position, query] of queries.entries()) {
    const label = labels[position] ?? '';
    const ranked = rank(query.vector, embedded.vectors, images.length);
    const right = ranked.findIndex(({ index }) => index === position) + 1;
    if (right === 1) found += 1;
    if (SHOWN.includes(label)) showRanking(show, label, right, ranked, images);
  }
  const reference = Object.values(names).filter((fact) => fact.rank === 1).length;
  show.line();
  const text = `${found} of ${labels.length} labels rank their image first (reference implementation: ${reference})`;
  show.item('all labels', found >= reference - 1 ? show.good(text) : show.bad(text));
  return { found, reference };
}

function showRanking(
  show: Show,
  label: string,
  right: number,
  ranked: readonly Ranked[],
  images: readonly Sample[],
): void {
  for (const [position, { index, score }] of ranked.slice(0, BEST).entries()) {
    const share = score / (ranked[0]?.score ?? 1);
    const mark = position + 1 === right ? show.color.green('✔') : ' ';
    show.item(
      position === 0 ? `"${label}"` : '',
      `${show.bar(share)} ${score.toFixed(3)}  ${mark} ${images[index]?.name ?? ''}`,
    );
  }
  if (right > BEST)
    show.item('', show.bad(`its own image ranks ${ordinal(right)}: a model of this size makes mistakes`));
}

function ordinal(rank: number): string {
  return `${rank}${['th', 'st', 'nd', 'rd'][rank % 100 > 10 && rank % 100 < 14 ? 0 : rank % 10] ?? 'th'}`;
}
