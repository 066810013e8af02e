import { expect } from 'chai';
import { openLog } from '../src/log.js';
import type { PlannedBlob } from '../src/plan.js';
import { startProgress } from '../src/progress/progress.js';
import { openScreen } from '../src/progress/screen.js';

describe('the progress of a download', () => {
  it('counts a file of unknown size once its size is known', async () => {
    const blob: PlannedBlob = {
      label: 'acme/speech weights.onnx',
      path: 'weights.onnx',
      finalPath: '/cache/weights.onnx',
      lockPath: '/cache/weights.onnx.lock',
      sizeBytes: undefined,
      hash: { type: 'sha256', value: 'a'.repeat(64) },
      sources: [],
      action: 'fetch',
      resumableBytes: 0,
    };
    const plan = { complete: [], compile: [], models: [], blobs: [blob, { ...blob, sizeBytes: 1_000_000 }] };
    let progress: ReturnType<typeof startProgress> | undefined;
    const drawn = await new Promise<string>((resolve) => {
      const write = (text: string) => {
        resolve(text);
        return true;
      };
      const screen = openScreen({ isTTY: true, columns: 120, write });
      progress = startProgress(plan, screen, openLog({ level: 'info', format: 'human' }, screen));
      progress.onStart(blob, 4_000_000);
      progress.onBytes(blob, 3_500_000);
    });
    progress?.stop();
    expect(drawn.split('\n')[1]).to.match(/^0 of 2 files .* 70% {2}5 MB$/);
  });
});
