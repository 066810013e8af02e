import { type InferenceClient, type Ranked, rank, valuesOf } from '@heimdex/client';
import type { Sample } from '../samples.js';
import { type Show, time } from '../show.js';

/** What a sample picture shows, and at which place the reference programs find it. */
export interface PictureFacts {
  readonly label: string;
  readonly rank: number;
}

/** These are shown with their pictures; all are counted. */
const SHOWN = ['elephant', 'bicycle', 'birthday cake', 'sunflower', 'owl'];
const BEST = 3;

/** Finds pictures by words. Gives how many names the server and the reference find first. */
export async function search(
  show: Show,
  client: InferenceClient,
  pictures: readonly Sample[],
  names: Readonly<Record<string, PictureFacts>>,
  signal: AbortSignal,
): Promise<{ readonly found: number; readonly reference: number }> {
  const startMs = performance.now();
  const embedded = await client.embedImage(
    pictures.map(({ content }) => content),
    { signal },
  );
  valuesOf(embedded.results); // Every picture must have succeeded.
  const perPicture = time((performance.now() - startMs) / pictures.length);
  show.item('pictures', `${pictures.length} embedded, ${perPicture} each, ${embedded.dimensions} numbers`);

  const labels = pictures.map(({ name }) => names[name]?.label ?? '');
  const textMs = performance.now();
  const answer = await client.embedText(labels, { signal, expectModel: embedded.model });
  const queries = valuesOf(answer.results);
  show.item('words', `${labels.length} embedded, ${time((performance.now() - textMs) / labels.length)} each`);
  show.line();

  let found = 0;
  for (const [place, query] of queries.entries()) {
    const label = labels[place] ?? '';
    const ranked = rank(query.vector, embedded.vectors, pictures.length);
    const right = ranked.findIndex(({ index }) => index === place) + 1;
    if (right === 1) found += 1;
    if (SHOWN.includes(label)) showRanking(show, label, right, ranked, pictures);
  }
  const reference = Object.values(names).filter((fact) => fact.rank === 1).length;
  show.line();
  const text = `${found} of ${labels.length} names find their picture first, with the reference programs ${reference}`;
  show.item('all names', found >= reference - 1 ? show.good(text) : show.bad(text));
  return { found, reference };
}

function showRanking(
  show: Show,
  label: string,
  right: number,
  ranked: readonly Ranked[],
  pictures: readonly Sample[],
): void {
  for (const [place, { index, score }] of ranked.slice(0, BEST).entries()) {
    const share = score / (ranked[0]?.score ?? 1);
    const mark = place + 1 === right ? show.color.green('✔') : ' ';
    show.item(
      place === 0 ? `"${label}"` : '',
      `${show.bar(share)} ${score.toFixed(3)}  ${mark} ${pictures[index]?.name ?? ''}`,
    );
  }
  if (right > BEST) show.more(show.bad(`its own picture comes ${ordinal(right)}: a model this small misses some`));
}

function ordinal(place: number): string {
  return `${place}${['th', 'st', 'nd', 'rd'][place % 100 > 10 && place % 100 < 14 ? 0 : place % 10] ?? 'th'}`;
}
