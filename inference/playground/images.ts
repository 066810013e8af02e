/** Pictures searched by words, and faces drawn. */
import { element, onFiles, say, shown } from './elements.js';
import { base64, call, type Embeddings, type Face, type FaceResults, type Point } from './server.js';

interface Picture {
  readonly figure: HTMLElement;
  readonly caption: HTMLElement;
  readonly vector: readonly number[];
}

const SEARCH = 'search-status';
const FACES = 'faces-status';

export function startSearch(): void {
  const pictures: Picture[] = [];
  const grid = element('pictures', HTMLElement);
  onFiles('search-files', (files) =>
    shown(SEARCH, async () => {
      for (const [at, file] of files.entries()) {
        say(SEARCH, `Embedding ${at + 1} of ${files.length} …`);
        const vector = await vectorOf('EmbedImage', { images: [{ content: await base64(file) }] });
        const figure = document.createElement('figure');
        const image = document.createElement('img');
        image.src = URL.createObjectURL(file);
        image.alt = file.name;
        const caption = document.createElement('figcaption');
        caption.textContent = file.name;
        figure.append(image, caption);
        grid.append(figure);
        pictures.push({ figure, caption, vector });
      }
      say(SEARCH, `${pictures.length} pictures. Type words to search.`);
    }),
  );
  element('search-form', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    shown(SEARCH, async () => {
      const query = element('query', HTMLInputElement).value;
      const vector = await vectorOf('EmbedText', { texts: [query] });
      const ranked = pictures
        .map((picture) => ({ ...picture, cosine: dot(picture.vector, vector) }))
        .sort((one, other) => other.cosine - one.cosine);
      for (const { caption, figure, cosine } of ranked) {
        caption.textContent = `${cosine.toFixed(3)} ${figure.querySelector('img')?.alt ?? ''}`;
      }
      grid.replaceChildren(...ranked.map(({ figure }) => figure));
      const best = ranked[0]?.figure.querySelector('img')?.alt;
      say(SEARCH, best === undefined ? 'Choose pictures first.' : `Best: ${best}`);
    });
  });
}

export function startFaces(): void {
  onFiles('faces-file', ([file]) => {
    if (file !== undefined) shown(FACES, () => detect(file));
  });
}

async function detect(file: File): Promise<void> {
  say(FACES, 'Looking …');
  const { results } = await call<FaceResults>('DetectFaces', { images: [{ content: await base64(file) }] });
  const [result] = results ?? [];
  if (result?.error !== undefined) throw new Error(result.error.message);
  const faces = result?.detections?.faces ?? [];
  const text = `${faces.length} ${faces.length === 1 ? 'face' : 'faces'}.`;
  const image = await createImageBitmap(file).catch(() => undefined);
  if (image === undefined) return say(FACES, `${text} This browser cannot show the picture.`);
  const canvas = element('faces', HTMLCanvasElement);
  canvas.width = result?.detections?.imageWidth ?? image.width;
  canvas.height = result?.detections?.imageHeight ?? image.height;
  canvas.hidden = false;
  canvas.setAttribute('aria-label', `${file.name}: ${text}`);
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('This browser cannot draw.');
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  for (const face of faces) draw(context, face, Math.max(2, canvas.width / 250));
  say(FACES, text);
}

function draw(context: CanvasRenderingContext2D, { box = {}, landmarks = {} }: Face, line: number): void {
  context.lineWidth = line;
  context.strokeStyle = context.fillStyle = '#e5007d';
  context.strokeRect(box.x ?? 0, box.y ?? 0, box.width ?? 0, box.height ?? 0);
  for (const { x = 0, y = 0 } of Object.values<Point>(landmarks)) {
    context.beginPath();
    context.arc(x, y, line * 1.3, 0, 2 * Math.PI);
    context.fill();
  }
}

async function vectorOf(method: 'EmbedImage' | 'EmbedText', request: unknown): Promise<readonly number[]> {
  const [result] = (await call<Embeddings>(method, request)).results ?? [];
  if (result?.embedding?.values === undefined) throw new Error(result?.error?.message ?? 'The server sent no vector.');
  return result.embedding.values;
}

/** The cosine: the server's vectors have length 1. */
function dot(one: readonly number[], other: readonly number[]): number {
  return one.reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0);
}
