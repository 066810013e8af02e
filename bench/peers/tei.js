// Hugging Face's text-embeddings-inference with its ONNX backend.
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDir } from '../support/dir.js';
import { byCallers, inCalls } from './callers.js';
import { startProgram } from './program.js';

const HEADERS = { 'content-type': 'application/json' };

/** Its ONNX backend knows one file name, so the 8-bit graph gets it. */
function withGraph(dir, file) {
  const copy = temporaryDir();
  cpSync(dir, copy, { recursive: true, filter: (path) => !path.endsWith('onnx') });
  mkdirSync(join(copy, 'onnx'), { recursive: true });
  symlinkSync(join(dir, file), join(copy, 'onnx/model.onnx'));
  return copy;
}

/** Starts it on a model directory; `take({ with: [texts, size, callers] })` embeds the texts in calls of `size`. */
export async function startTei(dir, file, maxTexts) {
  const flags = { hostname: '127.0.0.1', 'model-id': withGraph(dir, file), 'max-client-batch-size': maxTexts };
  const { post, pid, close } = await startProgram('text-embeddings-router', flags);
  const embed = (inputs) => post('/embed', JSON.stringify({ inputs, truncate: true }), HEADERS);
  const take = async ({ with: [texts, size, callers = 1] }) => {
    const startedAt = performance.now();
    const answers = await byCallers(callers, inCalls(texts, size), embed);
    return { seconds: (performance.now() - startedAt) / 1000, result: answers.at(-1).at(-1) };
  };
  return { take, pid, close };
}
