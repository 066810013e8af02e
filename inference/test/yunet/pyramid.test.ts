import { expect } from 'chai';
import { decodingTarget } from '../../src/models/yunet/detect.js';
import { frameOf } from '../../src/models/yunet/preprocess.js';
import { MAX_PIXELS, tilesOf, wholeSize } from '../../src/models/yunet/pyramid.js';

describe('tiles of a large picture', () => {
  it('cover it, and share enough with their neighbours', () => {
    for (const [width, height] of [
      [1300, 1300],
      [4000, 3000],
      [1025, 20_000],
      [640, 5000],
    ] as const) {
      const tiles = tilesOf({ width, height }, 160);
      const lefts = [...new Set(tiles.map(({ x }) => x))];
      lefts.forEach((x, index) => {
        const before = lefts[index - 1];
        if (before !== undefined) expect(before + (tiles[0]?.width ?? 0) - x).to.be.at.least(160);
      });
      expect(Math.min(...tiles.map(({ x }) => x))).to.equal(0);
      expect(Math.max(...tiles.map((tile) => tile.x + tile.width))).to.equal(width);
      expect(Math.min(...tiles.map(({ y }) => y))).to.equal(0);
      expect(Math.max(...tiles.map((tile) => tile.y + tile.height))).to.equal(height);
      expect(Math.max(...tiles.map((tile) => tile.width))).to.be.at.most(1280);
    }
  });
});

describe('the size in which a whole picture is looked at', () => {
  const shapes = [
    [1280, 1280],
    [12_000, 8_000],
    [33, 49_000],
    [2, 819_200],
    [5_000_000, 2],
    [2, 50_000_000],
    [9, 11_000_000],
  ] as const;

  for (const [width, height] of shapes) {
    it(`has no more than twice the usual pixels with its padding: ${width} x ${height}`, () => {
      const frame = frameOf(wholeSize({ width, height }));
      expect(frame.width * frame.height).to.be.at.most(2.1 * MAX_PIXELS);
    });
  }

  it('is what a picture is decoded to where no face fits into it, whoever wants them all', () => {
    expect(decodingTarget({ width: 9, height: 11_000_000 }, true)).to.deep.equal({ width: 1, height: 25_600 });
    expect(decodingTarget({ width: 4000, height: 3000 }, true)).to.equal(undefined);
    expect(decodingTarget({ width: 640, height: 480 }, false)).to.equal(undefined);
  });
});
