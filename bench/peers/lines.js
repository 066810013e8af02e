// What is compared: for each server its models, and the lines of the table that it serves.
import { FACES, faces } from './lines/faces.js';
import { IMAGES, images } from './lines/images.js';
import { memory } from './lines/memory.js';
import { SPEECH, speech } from './lines/speech.js';
import { TEXT, text } from './lines/text.js';

/** Servers: settings, and a function that returns the lines. Memory has a server of its own, which has served nothing before. */
export const SERVERS = [
  { settings: SPEECH, linesOf: memory },
  { settings: SPEECH, linesOf: speech },
  { settings: TEXT, linesOf: text },
  { settings: IMAGES, linesOf: images },
  { settings: FACES, linesOf: faces },
];
