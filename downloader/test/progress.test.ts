import { displayWidth } from '@heimdex/common';
import { expect } from 'chai';
import { openLog } from '../src/log.js';
import type { PlannedBlob } from '../src/plan.js';
import { barLine } from '../src/progress/bar.js';
import { FetchProgress } from '../src/progress/fetch-progress.js';
import { openScreen } from '../src/progress/screen.js';

describe('the progress of a download', () => {
  it('has lines as wide as the terminal, whatever the width of a name', () => {
    for (const name of [
      'model.onnx',
      '한국어-모델.onnx',
      '日本語の長い名前のディレクトリ/モデル.onnx',
      '👩\u200d👧.onnx',
    ]) {
      const line = barLine({ name, haveBytes: 1, sizeBytes: 2, suffix: '2 B' }, 120);
      expect(displayWidth(line.slice(0, line.indexOf('█'))), line).to.equal(35);
      expect(line)
        .to.include('.onnx ')
        .and.match(/ {2}50% {2}2 B$/);
      expect(displayWidth(barLine({ name, haveBytes: 1, sizeBytes: 2, suffix: '' }, 20))).to.be.within(18, 19);
    }
  });

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
    let progress: FetchProgress | undefined;
    const drawn = await new Promise<string>((resolve) => {
      const write = (text: string) => {
        resolve(text);
        return true;
      };
      const screen = openScreen({ isTTY: true, columns: 120, write });
      progress = new FetchProgress(plan, screen, openLog({ level: 'info', format: 'human' }, screen));
      progress.onStart(blob, 4_000_000);
      progress.onBytes(blob, 3_500_000);
    });
    progress?.stop();
    expect(drawn.split('\n')[1]).to.match(/^0 of 2 files .* 70% {2}5 MB$/);
  });
});
