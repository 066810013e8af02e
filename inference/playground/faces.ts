/** Faces drawn on an image. */
import type { FaceJson, LimitsJson } from '@heimdex/gen';
import { refusalOf } from './batches.js';
import { element, newest, onFiles, say, shown } from './elements.js';
import { base64, call } from './server.js';

const STATUS = 'faces-status';

export function startFaces(limits: LimitsJson): void {
  const started = newest();
  onFiles('faces-file', ([file]) => {
    if (file === undefined) return;
    const isCurrent = started();
    shown(STATUS, () => detect(file, limits, isCurrent), isCurrent);
  });
}

async function detect(file: File, limits: LimitsJson, isCurrent: () => boolean): Promise<void> {
  const canvas = element('faces', HTMLCanvasElement);
  canvas.hidden = true;
  const refusal = refusalOf(file, limits);
  if (refusal !== undefined) throw new Error(refusal);
  say(STATUS, 'Detecting …');
  const { results } = await call('DetectFaces', { images: [{ content: await base64(file) }] });
  const image = await createImageBitmap(file).catch(() => undefined);
  // Another image has taken the place of this one.
  if (!isCurrent()) return image?.close();
  const [result] = results ?? [];
  if (result?.error !== undefined) throw new Error(result.error.message ?? '');
  const faces = result?.detections?.faces ?? [];
  const text = `${faces.length} ${faces.length === 1 ? 'face' : 'faces'}.`;
  if (image === undefined) return say(STATUS, `${text} This browser cannot show the image.`);
  canvas.width = result?.detections?.imageWidth ?? image.width;
  canvas.height = result?.detections?.imageHeight ?? image.height;
  canvas.hidden = false;
  canvas.setAttribute('aria-label', `${file.name}: ${text}`);
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('This browser cannot draw.');
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  for (const face of faces) draw(context, face, Math.max(2, canvas.width / 250));
  image.close();
  say(STATUS, text);
}

function draw(context: CanvasRenderingContext2D, { box = {}, landmarks = {} }: FaceJson, line: number): void {
  context.lineWidth = line;
  context.strokeStyle = context.fillStyle = '#e5007d';
  const { x = 0, y = 0, width = 0, height = 0 } = box;
  context.strokeRect(Number(x), Number(y), Number(width), Number(height));
  for (const { x = 0, y = 0 } of Object.values(landmarks)) {
    context.beginPath();
    context.arc(Number(x), Number(y), line * 1.3, 0, 2 * Math.PI);
    context.fill();
  }
}
