import { expect } from 'chai';
import type { Face } from '../../src/models/items.js';
import { bestFaces, candidateFaces, type GridOutput, overlap, suppress } from '../../src/models/yunet/postprocess.js';

const decodeFaces = (grids: readonly GridOutput[], scale: number, options: typeof OPTIONS): readonly Face[] =>
  bestFaces(candidateFaces(grids, { x: scale, y: scale }, options.scoreThreshold), options.nmsThreshold);

const OPTIONS = { scoreThreshold: 0.5, nmsThreshold: 0.3 };

/** A grid of 2 x 2 cells with one face in the cell at the lower right. */
function grid(cls: number, obj: number): GridOutput {
  const bbox = new Float32Array(16);
  bbox.set([0.5, 0.5, Math.log(2), Math.log(3)], 12);
  const kps = new Float32Array(40);
  kps.set([0, 0, 1, 0, 0.5, 0.5, 0, 1, 1, 1], 30);
  const at = (value: number): Float32Array => Float32Array.of(0, 0, 0, value);
  return { stride: 16, columns: 2, cls: at(cls), obj: at(obj), bbox, kps };
}

function box(x: number, y: number, width: number, height: number): Face {
  const point = { x: 0, y: 0 };
  return {
    box: { x, y, width, height },
    score: 1,
    landmarks: { rightEye: point, leftEye: point, nose: point, rightMouthCorner: point, leftMouthCorner: point },
  };
}

describe("decoding YuNet's grids", () => {
  it('places boxes and points in pixels of the image', () => {
    const [face] = decodeFaces([grid(0.81, 0.64)], 0.5, OPTIONS);
    expect(face?.score).to.be.closeTo(0.72, 1e-6);
    // The centre is at 24, 24 of the network, that is at 48, 48 of the image; 64 wide and 96 high there.
    expect(face?.box.x).to.be.closeTo(16, 1e-4);
    expect(face?.box.y).to.be.closeTo(0, 1e-4);
    expect(face?.box.width).to.be.closeTo(64, 1e-4);
    expect(face?.box.height).to.be.closeTo(96, 1e-4);
    expect(face?.landmarks).to.deep.equal({
      rightEye: { x: 32, y: 32 },
      leftEye: { x: 64, y: 32 },
      nose: { x: 48, y: 48 },
      rightMouthCorner: { x: 32, y: 64 },
      leftMouthCorner: { x: 64, y: 64 },
    });
  });

  it('omits low scores, and clamps probabilities to 0 to 1', () => {
    expect(decodeFaces([grid(0.4, 0.4)], 1, OPTIONS)).to.deep.equal([]);
    expect(decodeFaces([grid(1.5, 1.2)], 1, OPTIONS)[0]?.score).to.equal(1);
    expect(decodeFaces([grid(-1, 1)], 1, { ...OPTIONS, scoreThreshold: 0.1 })).to.deep.equal([]);
  });

  it('keeps the best of faces that overlap', () => {
    const faces = decodeFaces([grid(0.6, 0.6), grid(0.9, 0.9)], 1, OPTIONS);
    expect(faces.map(({ score }) => Math.round(score * 10))).to.deep.equal([9]);
    expect(suppress([box(0, 0, 10, 10), box(5, 0, 10, 10), box(20, 0, 10, 10)], 0.3).length).to.equal(2);
    expect(suppress([box(0, 0, 10, 10), box(5, 0, 10, 10)], 0.4).length).to.equal(2);
  });

  it('keeps a face whose score or overlap equals its threshold, as OpenCV does', () => {
    expect(decodeFaces([grid(0.25, 1)], 1, OPTIONS)).to.have.length(1);
    const half = [box(0, 0, 10, 10), box(0, 0, 10, 5)] as const;
    expect(overlap(half[0].box, half[1].box)).to.equal(0.5);
    expect(suppress(half, 0.5)).to.have.length(2);
  });

  it('measures overlap as intersection over union', () => {
    expect(overlap(box(0, 0, 10, 10).box, box(5, 0, 10, 10).box)).to.be.closeTo(1 / 3, 1e-9);
    expect(overlap(box(0, 0, 10, 10).box, box(10, 0, 10, 10).box)).to.equal(0);
    expect(overlap(box(0, 0, 10, 10).box, box(0, 20, 10, 10).box)).to.equal(0);
    expect(overlap(box(0, 0, 10, 10).box, box(0, 0, 10, 10).box)).to.equal(1);
  });
});
