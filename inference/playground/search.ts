/** Images searched by a query. */
import type { EmbeddingResultJson, EmbedImageResponseJson, LimitsJson, ModelJson } from '@heimdex/gen';
import { groupsOf, refusalOf } from './batches.js';
import { element, newest, onFiles, say, shown } from './elements.js';
import { base64, call } from './server.js';

interface Image {
  readonly figure: HTMLElement;
  readonly name: string;
  readonly vector: readonly number[];
  /** What made the vector. */
  readonly model: string;
}

const STATUS = 'search-status';
const MAX_IMAGES = 500;

/** Embeds at most MAX_IMAGES images, in batches, one call after the other. */
export function startSearch(limits: LimitsJson): void {
  let images: Image[] = [];
  /** Images accepted and not yet embedded. */
  let waiting = 0;
  /** The batches so far; another choice of files waits for them. */
  let last = Promise.resolve();
  const cleared = newest();
  /** Until all are removed. */
  let areKept = cleared();
  const searched = newest();
  const grid = element('images', HTMLElement);
  const clear = element('clear', HTMLButtonElement);
  const input = element('search-files', HTMLInputElement);

  const embed = async (files: readonly File[], isCurrent: () => boolean) => {
    const problems: string[] = [];
    const sent = files.filter((file) => {
      const refusal = refusalOf(file, limits);
      if (refusal !== undefined) problems.push(`${file.name}: ${refusal}`);
      return refusal === undefined;
    });
    let done = 0;
    try {
      for (const group of groupsOf(sent, limits)) {
        if (!isCurrent()) return;
        say(STATUS, `Embedding ${done + 1} to ${done + group.length} of ${sent.length} …`);
        const { results = [], model } = await embedImages(group);
        done += group.length;
        waiting -= group.length;
        if (!isCurrent()) return;
        for (const [at, file] of group.entries()) {
          const vector = vectorOf(results[at]);
          if (vector === undefined) {
            problems.push(`${file.name}: ${results[at]?.error?.message ?? 'The server sent no vector.'}`);
            continue;
          }
          const figure = figureOf(file);
          images.push({ figure, name: file.name, vector, model: nameOf(model) });
          grid.append(figure);
        }
      }
    } finally {
      waiting -= files.length - done;
      clear.hidden = images.length === 0;
    }
    const count = `${images.length} ${images.length === 1 ? 'image' : 'images'}.`;
    say(STATUS, [count, ...problems].join(' '), problems.length > 0);
  };

  onFiles('search-files', (files) => {
    const isCurrent = areKept;
    const task = async () => {
      const total = images.length + waiting + files.length;
      if (total > MAX_IMAGES) {
        input.value = '';
        throw new Error(`Expected at most ${MAX_IMAGES} images, got ${total}. Choose fewer, or remove all.`);
      }
      waiting += files.length;
      const mine = last.then(() => embed(files, isCurrent));
      last = mine.catch(() => {});
      await mine;
    };
    shown(STATUS, task, isCurrent);
  });
  clear.addEventListener('click', () => {
    for (const { figure } of images) URL.revokeObjectURL(figure.querySelector('img')?.src ?? '');
    images = [];
    areKept = cleared();
    searched();
    grid.replaceChildren();
    clear.hidden = true;
    say(STATUS, '');
    input.value = '';
    input.focus();
  });
  element('search-form', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    const isCurrent = searched();
    const task = async () => {
      if (images.length === 0) return say(STATUS, 'Choose images first.');
      const { vector, model } = await embedText(element('query', HTMLInputElement).value);
      // Another query has taken the place of this one, or the images are gone.
      if (!isCurrent()) return;
      // The server may have come back with another model, and vectors of two models cannot be compared.
      const others = images.filter((image) => image.model !== model).length;
      if (others > 0) {
        throw new Error(
          `The server now runs ${model}, and ${others} of ${images.length} images are by another model. Remove all, and choose the images again.`,
        );
      }
      const ranked = bestFirst(images, vector);
      grid.replaceChildren(...ranked.map(({ figure }) => figure));
      say(STATUS, `Best: ${ranked[0]?.name ?? ''}`);
    };
    shown(STATUS, task, isCurrent);
  });
}

/** Returns the images by their cosine to a vector, which their captions show. */
function bestFirst(images: readonly Image[], vector: readonly number[]): readonly Image[] {
  const ranked = images
    .map((image) => ({ ...image, cosine: dot(image.vector, vector) }))
    .sort((one, other) => other.cosine - one.cosine);
  for (const [rank, { figure, name, cosine }] of ranked.entries()) {
    const score = document.createElement('small');
    score.textContent = cosine.toFixed(3);
    figure.querySelector('figcaption')?.replaceChildren(score, name);
    figure.classList.toggle('best', rank === 0);
  }
  return ranked;
}

function figureOf(file: File): HTMLElement {
  const image = document.createElement('img');
  image.src = URL.createObjectURL(file);
  image.alt = file.name;
  image.loading = 'lazy';
  image.decoding = 'async';
  const caption = document.createElement('figcaption');
  caption.textContent = file.name;
  const figure = document.createElement('figure');
  figure.append(image, caption);
  return figure;
}

async function embedImages(files: readonly File[]): Promise<EmbedImageResponseJson> {
  const images = await Promise.all(files.map(async (file) => ({ content: await base64(file) })));
  return call('EmbedImage', { images });
}

async function embedText(text: string): Promise<Pick<Image, 'vector' | 'model'>> {
  const { results: [result] = [], model } = await call('EmbedText', { texts: [text] });
  const vector = vectorOf(result);
  if (vector === undefined) throw new Error(result?.error?.message ?? 'The server sent no vector.');
  return { vector, model: nameOf(model) };
}

function nameOf({ id = '', revision = '', variant = '' }: ModelJson = {}): string {
  return `${id}@${revision} ${variant}`.trim();
}

function vectorOf(result: EmbeddingResultJson | undefined): readonly number[] | undefined {
  return result?.embedding?.values?.map(Number);
}

/** The cosine: the server's vectors have length 1. */
function dot(one: readonly number[], other: readonly number[]): number {
  return one.reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0);
}
