// whisper.cpp's server.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { byCallers } from './callers.js';
import { startProgram } from './program.js';
import { Absent } from './python.js';

/**
 * Starts it on a model in its own format; `take({ do: 'transcribe', with: [paths, language, callers] })` transcribes WAV files.
 * It decodes greedily, as the other peers do; one call after the other, as it has one state.
 */
export async function startWhisperCpp(model, threads) {
  if (model === undefined) throw new Absent('whisper.cpp needs --ggml FILE, Whisper base in its format');
  const { post, pid, close } = await startProgram('whisper-server', { model, threads, host: '127.0.0.1' });
  const take = async ({ with: [paths, language, callers] }) => {
    const bodies = paths.map((path) => {
      const body = new FormData();
      body.set('file', new Blob([readFileSync(path)]), basename(path));
      body.set('language', language ?? 'auto');
      body.set('response_format', 'json');
      return body;
    });
    const startedAt = performance.now();
    const answers = await byCallers(callers, bodies, (body) => post('/inference', body));
    return { seconds: (performance.now() - startedAt) / 1000, result: answers.map(({ text }) => text) };
  };
  return { take, pid, close };
}
