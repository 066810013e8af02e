import { expect } from 'chai';
import type { Face } from '../../src/models/items.js';
import { decodingTarget } from '../../src/models/yunet/detect.js';
import { isTraced, tracesOf } from '../../src/models/yunet/enlarge.js';
import { frameOf } from '../../src/models/yunet/preprocess.js';
import { isCut, isSmallImage, MAX_PIXELS, pyramidOf, tilesOf, wholeSize } from '../../src/models/yunet/pyramid.js';

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

  it('give no face at an edge where the next tile has all of it', () => {
    const level = { width: 3000, height: 2000 };
    const isCutIn = (tile: { x: number; y: number; width: number; height: number } | undefined) =>
      [
        [12, 100],
        [100, 12],
        [888, 100],
        [100, 888],
        [13, 13],
        [887, 887],
      ].map(([x = 0, y = 0]) => isCut({ x: x / 2, y: y / 4, width: 50, height: 25 }, { x: 2, y: 4 }, tile, level));
    const none = new Array(6).fill(false);
    expect(isCutIn({ x: 900, y: 500, width: 1000, height: 1000 })).to.deep.equal([
      true,
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(isCutIn({ x: 0, y: 500, width: 1000, height: 1000 })).to.deep.equal([false, true, true, true, false, false]);
    expect(isCutIn({ x: 2000, y: 1000, width: 1000, height: 1000 })).to.deep.equal([true, true, ...none.slice(2)]);
    expect(isCutIn(undefined)).to.deep.equal(none);
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

  it('are one for a small image, two for one in which a face could be too large, more only with tiles', () => {
    expect(pyramidOf({ width: 300, height: 300 }, false).length).to.equal(1);
    expect(pyramidOf({ width: 1000, height: 1000 }, true).length).to.equal(2);
    expect(pyramidOf({ width: 4000, height: 3000 }, false).length).to.equal(2);
    expect(pyramidOf({ width: 4000, height: 3000 }, true).length).to.equal(3);
    expect(pyramidOf({ width: 12_000, height: 8000 }, true).length).to.equal(4);
  });
});

describe('the places of a small image with a trace of a face', () => {
  const landmarks = {} as Face['landmarks'];
  const trace = (x: number, y: number, side = 10): Face => ({
    box: { x, y, width: side, height: side },
    score: 0.03,
    landmarks,
  });
  const image = { width: 512, height: 512 };

  it('are squares around it within the image, enlarged three times', () => {
    const [middle, corner] = tracesOf([trace(200, 300), trace(0, 505)], image);
    expect(middle).to.deep.equal({
      from: { x: 184, y: 284, width: 42, height: 42 },
      size: { width: 126, height: 126 },
    });
    expect(corner?.from).to.deep.equal({ x: 0, y: 470, width: 42, height: 42 });
    const [whole] = tracesOf([trace(3, 20)], { width: 20, height: 100 });
    expect(whole).to.deep.equal({ from: { x: 0, y: 4, width: 20, height: 42 }, size: { width: 60, height: 126 } });
  });

  it('are one where they are near each other, none where the face is large, and together cost less than the image', () => {
    expect(tracesOf([trace(100, 100), trace(105, 95), trace(130, 100)], image).length).to.equal(2);
    expect(tracesOf([trace(100, 100, 41)], image)).to.deep.equal([]);
    const everywhere = Array.from({ length: 400 }, (_, index) => trace((index % 20) * 25, Math.floor(index / 20) * 25));
    const cost = tracesOf(everywhere, image).reduce((sum, { size }) => sum + size.width * size.height, 0);
    expect(cost).to.be.within(200_000, 400_000);
  });

  it('are searched in images of up to 0.35 million pixels that can hold a face', () => {
    expect(isSmallImage({ width: 512, height: 512 })).to.equal(true);
    expect(isSmallImage({ width: 800, height: 600 })).to.equal(false);
    expect(isSmallImage({ width: 9, height: 1000 })).to.equal(false);
  });

  it('give no face that the square cuts off, unless the image ends there', () => {
    const [corner] = tracesOf([trace(0, 0)], image);
    if (corner === undefined) throw new Error('no trace');
    expect(isTraced(trace(-2, -2, 12), corner, image)).to.equal(true);
    expect(isTraced(trace(35, 5, 12), corner, image)).to.equal(false);
    expect(isTraced(trace(-2, -2, 41), corner, image)).to.equal(false);
  });
});
