import { expect } from 'chai';
import { emptyTextOf } from '../src/compile/empty-text.js';

describe("the tokens of an empty text, by tokenizer.json's post-processor", () => {
  const template = {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '<s>', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '</s>', type_id: 0 } },
    ],
    special_tokens: {
      '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] },
      '</s>': { id: '</s>', ids: [2], tokens: ['</s>'] },
    },
  };
  for (const [name, processor, expected] of [
    ['TemplateProcessing', template, [0, 2]],
    ['RobertaProcessing', { type: 'RobertaProcessing', sep: ['</s>', 2], cls: ['<s>', 0] }, [0, 2]],
    ['BertProcessing', { type: 'BertProcessing', sep: ['[SEP]', 102], cls: ['[CLS]', 101] }, [101, 102]],
    ['one in a Sequence', { type: 'Sequence', processors: [{ type: 'ByteLevel' }, template] }, [0, 2]],
    ['none', null, undefined],
    ['one that adds nothing', { type: 'ByteLevel' }, undefined],
    ['one whose tokens are not there', { ...template, special_tokens: {} }, undefined],
    ['one of nonsense', { single: [3, null, { SpecialToken: 'x' }] }, undefined],
  ] as const) {
    it(`are found: ${name}`, () => {
      expect(emptyTextOf({ post_processor: processor })).to.deep.equal(expected);
    });
  }

  it('are not known of what is no tokenizer', () => {
    for (const value of [undefined, null, 3, 'text', [], {}]) expect(emptyTextOf(value)).to.equal(undefined);
  });
});
