import { expect } from 'chai';
import { sentenceSpec } from '../../src/models/sentence/spec.js';
import { loadTokenizer } from '../../src/tokenizer/index.js';
import { inShared, needsShared } from '../support/paths.js';

const MINI_LM = 'models/Xenova/all-MiniLM-L6-v2';

const TEXTS = {
  English: 'The committee of the European Parliament discussed the regulations of agriculture.',
  Chinese: '今天天气很好，我们一起去公园散步，然后在湖边的咖啡馆里喝咖啡，讨论下个月的旅行计划。',
  Japanese: '今日は天気がいいので、公園を散歩してから湖のそばの喫茶店でコーヒーを飲みましょう。',
};

describe('the cost of a text', () => {
  for (const [language, text] of Object.entries(TEXTS)) {
    it(`is at least its tokens, and not far more: ${language}`, async function () {
      needsShared(this, MINI_LM);
      const { ids } = (await loadTokenizer(inShared(MINI_LM), undefined)).encode(text, 512);
      const cost = sentenceSpec.cost({ type: 'text', text, normalize: true, truncate: true });
      expect(cost).to.be.within(ids.length, 2.5 * ids.length);
    });
  }
});
