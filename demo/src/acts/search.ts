import { type InferenceClient, type Ranked, rank, valuesOf } from '@heimdex/client';
import type { Sample } from '../samples.js';
import { type Show, time } from '../show.js';

/** What a sample image shows, and at which place the reference programs find it. */
export interface ImageFacts {
  readonly label: string;
  readonly rank: number;
}

/** These are shown with their images; all are counted. */
const SHOWN = ['elephant', 'bicycle', 'birthday cake', 'sunflower', 'owl'];
const BEST = 3;

/** Finds images by words. Gives how many names the server and the reference find first. */
export async function search(
  show: Show,
  client: InferenceClient,
  images: readonly Sample[],
  names: Readonly<Record<string, ImageFacts>>,
  signal: AbortSignal,
): Promise<{ readonly found: number; readonly reference: number }> {
  const startMs = performance.now();
  const embedded = await client.embedImage(
    images.map(({ content }) => content),
    { signal },
  );
  valuesOf(embedded.results); // Every image must have succeeded.
  const perImage = time((performance.now() - startMs) / images.length);
  show.item('images', `${images.length} embedded, ${perImage} each, ${embedded.dimensions} numbers`);

  const labels = images.map(({ name }) => names[name]?.label ?? '');
  const textMs = performance.now();
  const answer = await client.embedText(labels, { signal, expectModel: embedded.model });
  const queries = valuesOf(answer.results);
  show.item('words', `${labels.length} embedded, ${time((performance.now() - textMs) / labels.length)} each`);
  show.line();

  let found = 0;
  for (const [place, query] of queries.entries()) {
    const label = labels[place] ?? '';
    const ranked = rank(query.vector, embedded.vectors, images.length);
    const right = ranked.findIndex(({ index }) => index === place) + 1;
    if (right === 1) found += 1;
    if (SHOWN.includes(label)) showRanking(show, label, right, ranked, images);
  }
  const reference = Object.values(names).filter((fact) => fact.rank === 1).length;
  show.line();
  const text = `${found} of ${labels.length} names find their image first, with the reference programs ${reference}`;
  show.item('all names', found >= reference - 1 ? show.good(text) : show.bad(text));
  return { found, reference };
}

function showRanking(
  show: Show,
  label: string,
  right: number,
  ranked: readonly Ranked[],
  images: readonly Sample[],
): void {
  for (const [place, { index, score }] of ranked.slice(0, BEST).entries()) {
    const share = score / (ranked[0]?.score ?? 1);
    const mark = place + 1 === right ? show.color.green('✔') : ' ';
    show.item(
      place === 0 ? `"${label}"` : '',
      `${show.bar(share)} ${score.toFixed(3)}  ${mark} ${images[index]?.name ?? ''}`,
    );
  }
  if (right > BEST) show.more(show.bad(`its own image comes ${ordinal(right)}: a model this small misses some`));
}

function ordinal(place: number): string {
  return `${place}${['th', 'st', 'nd', 'rd'][place % 100 > 10 && place % 100 < 14 ? 0 : place % 10] ?? 'th'}`;
}
