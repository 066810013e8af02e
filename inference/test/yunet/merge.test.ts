import { expect } from 'chai';
import type { Face } from '../../src/models/items.js';
import { mergePasses } from '../../src/models/yunet/merge.js';

function face(x: number, y: number, side: number, score: number): Face {
  const point = { x, y };
  return {
    box: { x, y, width: side, height: side },
    score,
    landmarks: { rightEye: point, leftEye: point, nose: point, rightMouthCorner: point, leftMouthCorner: point },
  };
}

describe('merging the passes over an image', () => {
  it('returns one box for a face found in two passes, with the higher score if they differ', () => {
    const [coarse, fine] = [face(0, 0, 100, 0.9), face(20, 10, 80, 0.8)];
    expect(
      mergePasses([
        { level: 0, faces: [coarse] },
        { level: 1, faces: [fine] },
      ]),
    ).to.deep.equal([coarse]);
  });

  it('uses the box of the finer pass if two agree', () => {
    const [coarse, fine] = [face(0, 0, 100, 0.95), face(2, 2, 98, 0.9)];
    expect(
      mergePasses([
        { level: 0, faces: [coarse] },
        { level: 1, faces: [fine] },
      ]),
    ).to.deep.equal([fine]);
  });

  it('returns the best first, also where the finer pass gives a face a lower score', () => {
    const [coarse, fine, other] = [face(0, 0, 100, 0.95), face(2, 2, 98, 0.8), face(500, 0, 100, 0.9)];
    const merged = mergePasses([
      { level: 0, faces: [coarse, other] },
      { level: 1, faces: [fine] },
    ]);
    expect(merged).to.deep.equal([other, fine]);
  });

  it('leaves out parts of a face that a coarser pass or another tile shows whole', () => {
    const whole = face(0, 0, 400, 0.9);
    const [eye, half] = [face(50, 80, 60, 0.95), face(0, 0, 200, 0.8)];
    expect(
      mergePasses([
        { level: 0, faces: [whole] },
        { level: 1, faces: [eye] },
        { level: 1, faces: [half] },
      ]),
    ).to.deep.equal([whole]);
    expect(
      mergePasses([
        { level: 1, faces: [whole] },
        { level: 1, faces: [half] },
      ]),
    ).to.deep.equal([whole]);
  });

  it('keeps a sure small face in a doubtful large one, and faces side by side', () => {
    const [doubtful, sure] = [face(0, 0, 400, 0.7), face(50, 80, 60, 0.95)];
    expect(
      mergePasses([
        { level: 0, faces: [doubtful] },
        { level: 1, faces: [sure] },
      ]),
    ).to.deep.equal([sure, doubtful]);
    const neighbour = face(405, 0, 60, 0.8);
    expect(
      mergePasses([
        { level: 0, faces: [face(0, 0, 400, 0.9)] },
        { level: 1, faces: [neighbour] },
      ]).length,
    ).to.equal(2);
  });

  it('takes boxes of two passes for one face if they overlap by more than 0.3', () => {
    const found = (x: number) =>
      mergePasses([
        { level: 0, faces: [face(0, 0, 100, 0.9)] },
        { level: 1, faces: [face(x, 0, 100, 0.8)] },
      ]).length;
    expect([found(52), found(55)]).to.deep.equal([1, 2]);
  });

  it('takes a box for a part of a face if 0.7 of it is inside, and it scores at most 0.1 more', () => {
    const found = (x: number, score: number) =>
      mergePasses([
        { level: 0, faces: [face(0, 0, 400, 0.8)] },
        { level: 1, faces: [face(x, 0, 100, score)] },
      ]).length;
    expect([found(325, 0.8), found(335, 0.8)]).to.deep.equal([1, 2]);
    expect([found(0, 0.89), found(0, 0.91)]).to.deep.equal([1, 2]);
  });

  it('takes a box with less than half the area for a part of a face of its own pass that a coarser one shows too', () => {
    const found = (side: number) =>
      mergePasses([
        { level: 1, faces: [face(0, 0, 400, 0.9), face(0, 0, side, 0.7)] },
        { level: 0, faces: [face(0, 0, 400, 0.8)] },
      ]).length;
    expect([found(280), found(286)]).to.deep.equal([1, 2]);
  });

  it('keeps the faces of a single pass', () => {
    const faces = [face(0, 0, 400, 0.9), face(50, 80, 60, 0.8), face(10, 10, 390, 0.7)];
    expect(mergePasses([{ level: 1, faces }])).to.deep.equal(faces);
  });

  it('returns the 5,000 best of more faces', () => {
    const passes = Array.from({ length: 10 }, (_, row) => ({
      level: 1,
      faces: Array.from({ length: 600 }, (_, column) => face(column * 20, row * 20, 10, 0.8 + row / 100)),
    }));
    const merged = mergePasses(passes);
    expect(merged).to.have.length(5000);
    expect(merged.at(0)?.score).to.equal(0.8 + 9 / 100);
    expect(merged.at(-1)?.score).to.equal(0.8 + 1 / 100);
  });
});
