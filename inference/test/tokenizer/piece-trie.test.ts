import { expect } from 'chai';
import { PieceTrie } from '../../src/tokenizer/piece-trie.js';

describe('PieceTrie', () => {
  it('finds each piece of a vocabulary that outgrows its first tables, and no other text', () => {
    const trie = new PieceTrie();
    const pieces = Array.from({ length: 50_000 }, (_, id) => `${id.toString(36)}!`);
    pieces.forEach((piece, id) => {
      trie.add(piece, id);
    });
    const wrong = pieces.filter((piece, id) => trie.pieceAt(trie.find(piece)) !== id);
    expect(wrong).to.deep.equal([]);
    expect(
      pieces.filter((piece) => trie.find(`${piece}!`) !== 0 || trie.pieceAt(trie.find(piece.slice(0, -1))) !== -1),
    ).to.deep.equal([]);
  });
});
