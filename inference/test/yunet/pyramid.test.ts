import { expect } from 'chai';
import { decodingTarget } from '../../src/models/yunet/detect.js';
import { frameOf } from '../../src/models/yunet/preprocess.js';
import { isCut, MAX_PIXELS, pyramidOf, tilesOf, wholeSize } from '../../src/models/yunet/pyramid.js';

describe('tiles of a large image', () => {
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

describe('the size for a whole image', () => {
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

  it('is the decoded size if no face fits, even if all faces are requested', () => {
    expect(decodingTarget({ width: 9, height: 11_000_000 }, true)).to.deep.equal({ width: 1, height: 25_600 });
    expect(decodingTarget({ width: 4000, height: 3000 }, true)).to.equal(undefined);
    expect(decodingTarget({ width: 640, height: 480 }, false)).to.equal(undefined);
  });
});

describe('the levels of the pyramid', () => {
  /** Network pixels between which YuNet is sure of nearly every face. */
  const [SURE_FROM, SURE_TO] = [48, 480];
  const SHAPES = [4 / 3, 3 / 4, 16 / 9, 3, 1 / 3] as const;

  for (const megapixels of [0.1, 1, 1.7, 3, 12, 26, 27, 49, 100]) {
    it(`cover every face from 48 pixels on, which the network detects reliably: ${megapixels} million pixels`, () => {
      for (const shape of SHAPES) {
        const height = Math.round(Math.sqrt((megapixels * 1e6) / shape));
        const shown = { width: Math.round(height * shape), height };
        const levels = pyramidOf(shown, true);
        const largest = 0.95 * Math.min(shown.height, shown.width * 1.3);
        for (let face = SURE_FROM; face <= largest; face *= 1.02) {
          const sure = levels.filter(({ size, smallest, largest: most }) => {
            const seen = face * (size.height / shown.height);
            return seen >= Math.max(smallest, SURE_FROM - 0.5) && seen <= Math.min(most, SURE_TO);
          });
          expect(sure, `${face} of ${shown.width} x ${shown.height}`).to.not.be.empty;
        }
      }
    });
  }

  it('hold every face that a tiled level answers for whole in a tile', () => {
    for (const shown of [
      { width: 4000, height: 3000 },
      { width: 12_000, height: 8333 },
    ]) {
      for (const { size, largest, tiles } of pyramidOf(shown, true)) {
        if (tiles === undefined) continue;
        for (let x = 0; x + largest <= size.width; x += 37) {
          for (let y = 0; y + largest <= size.height; y += 41) {
            const holds = tiles.some((tile) => {
              const box = { x: x - tile.x, y: y - tile.y, width: largest, height: largest };
              return x >= tile.x && y >= tile.y && !isCut(box, { x: 1, y: 1 }, tile, size);
            });
            if (!holds)
              expect.fail(`no tile holds a face of ${largest} at ${x}, ${y} of ${size.width} x ${size.height}`);
          }
        }
      }
    }
  });

  it('cost at most 1.6 times the pixels of the image more', () => {
    for (const megapixels of [2, 5, 12, 26, 49, 100]) {
      const height = Math.round(Math.sqrt(megapixels * 0.75e6));
      const tiles = pyramidOf({ width: Math.round((height * 4) / 3), height }, true).flatMap(
        (level) => level.tiles ?? [],
      );
      const pixels = tiles.reduce((sum, { width, height: tall }) => sum + width * tall, 0);
      expect(pixels, `${megapixels}`).to.be.at.most(1.6e6 * megapixels);
    }
  });

  it('include an enlarged small image if all faces are requested, at most at the cost of a million pixels', () => {
    for (const [width, height] of [
      [320, 240],
      [512, 512],
      [480, 640],
      [900, 300],
    ] as const) {
      const levels = pyramidOf({ width, height }, true);
      const enlarged = levels.at(-1);
      expect(enlarged?.isEnlarged, `${width} x ${height}`).to.equal(true);
      expect(enlarged?.size.width, `${width} x ${height}`).to.be.within(1.4 * width, 2 * width);
      const cost = levels.map(({ size }) => frameOf(size)).reduce((sum, frame) => sum + frame.width * frame.height, 0);
      expect(cost, `${width} x ${height}`).to.be.at.most(1.15 * 1024 * 1024);
      expect(pyramidOf({ width, height }, false).some(({ isEnlarged }) => isEnlarged)).to.equal(false);
    }
    expect(pyramidOf({ width: 800, height: 600 }, true).some(({ isEnlarged }) => isEnlarged)).to.equal(false);
  });

  it('are one for a small image, two for one in which a face could be too large, more only with tiles', () => {
    expect(pyramidOf({ width: 300, height: 300 }, false).length).to.equal(1);
    expect(pyramidOf({ width: 1000, height: 1000 }, true).length).to.equal(2);
    expect(pyramidOf({ width: 4000, height: 3000 }, false).length).to.equal(2);
    expect(pyramidOf({ width: 4000, height: 3000 }, true).length).to.equal(3);
    expect(pyramidOf({ width: 12_000, height: 8000 }, true).length).to.equal(4);
  });
});
