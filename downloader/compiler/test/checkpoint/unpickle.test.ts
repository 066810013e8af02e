import { expect } from 'chai';
import { Unpickler } from '../../src/checkpoint/torch/unpickle.js';
import { refusal } from '../support/dir.js';

/** A pickle by its opcodes, as latin1 text. */
const unpickle = (opcodes: string) => new Unpickler(Buffer.from(opcodes, 'latin1')).read();
const STORAGE = '(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x06tQ';
const TENSOR = `ctorch._utils\n_rebuild_tensor_v2\n(${STORAGE}K\0K\x02K\x03\x86K\x03K\x01\x86\x89ccollections\nOrderedDict\n)RtR`;

describe('unpickling', () => {
  for (const [what, opcodes, value] of [
    ['a number of one byte', 'K\x07.', 7],
    ['a number of two bytes', 'M\x01\x02.', 513],
    ['a number of four bytes', 'J\xfe\xff\xff\xff.', -2],
    ['a long number', '\x8a\x02\xff\x00.', 255],
    ['a number of no bytes', '\x8a\x00.', 0],
    ['a real number', 'G\x3f\xf0\0\0\0\0\0\0.', 1],
    ['none and truths', '(N\x88\x89t.', [null, true, false]],
    ['text', 'X\x02\0\0\0ab.', 'ab'],
    ['short text', '\x8c\x02ab.', 'ab'],
    ['bytes', '(C\x02abB\x02\0\0\0cdt.', [Buffer.from('ab'), Buffer.from('cd')]],
    ['tuples of one to three', '(K\x01\x85K\x01K\x02\x86K\x01K\x02K\x03\x87t.', [[1], [1, 2], [1, 2, 3]]],
    ['lists, one value and many', ']K\x01a(K\x02K\x03e.', [1, 2, 3]],
    ['what was kept', 'K\x05q\x01h\x01\x86.', [5, 5]],
    ['what was kept by its turn', 'K\x05\x94h\0\x86.', [5, 5]],
    ['a frame', '\x80\x04\x95\x02\0\0\0\0\0\0\0K\x01.', 1],
  ] as const) {
    it(`reads ${what}`, () => {
      expect(unpickle(opcodes)).to.deep.equal(value);
    });
  }

  it('reads tables, by one and by many', () => {
    expect(unpickle('}X\x01\0\0\0aK\x01s(X\x01\0\0\0bK\x02u.')).to.deep.equal(
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
    );
  });

  it('reads a tensor as a position in the file, and a parameter as its tensor', () => {
    const tensor = {
      kind: 'tensor',
      storage: { kind: 'storage', type: 'F32', key: '0' },
      offset: 0,
      shape: [2, 3],
      stride: [3, 1],
    };
    expect(unpickle(`${TENSOR}.`)).to.deep.equal(tensor);
    expect(unpickle(`ctorch._utils\n_rebuild_parameter\n(${TENSOR}\x89}tR.`)).to.deep.equal(tensor);
  });

  for (const [what, opcodes, named] of [
    ['a function of the system', 'cos\nsystem\n(X\x02\0\0\0lstR.', 'os.system'],
    ['the same under its other name', 'cposix\nsystem\n.', 'posix.system'],
    ['the same by its names on the stack', '\x8c\x02os\x8c\x06system\x93.', 'os.system'],
    ['a builtin', 'c__builtin__\neval\n.', '__builtin__.eval'],
    ['a name that JavaScript has of itself', 'c\nconstructor\n.', 'constructor'],
    ['a tensor of another kind', 'ctorch._utils\n_rebuild_sparse_tensor\n.', '_rebuild_sparse_tensor'],
    ['a tensor that is negated when it is read', `${TENSOR.replace(/tR$/, '}X\x03\0\0\0neg\x88stR')}.`, 'neg'],
    ['a call of what is no function', 'K\x01)R.', 'no function'],
    ['an object (NEWOBJ)', 'ccollections\nOrderedDict\n)\x81.', '0x81'],
    ['an instance (INST)', '(ios\nsystem\n.', '0x69'],
    ['an extension (EXT1)', '\x82\x01.', '0x82'],
    ['the state of an object (BUILD)', 'K\x01}b.', 'state'],
    ['a persistent object of another kind', '(X\x06\0\0\0moduletQ.', 'outside the file'],
    ['more tables than a model has', '}'.repeat(100_001), '100000 tables'],
    ['more opcodes than a model has', 'N'.repeat(2_000_001), '2000000 opcodes'],
  ] as const) {
    it(`refuses ${what}`, async () => {
      const error = await refusal(() => unpickle(opcodes));
      expect(error.code).to.equal('CHECKPOINT_REFUSED');
      expect(error.message).to.include(named).and.include('Nothing of it was run');
    });
  }

  for (const [what, opcodes] of [
    ['nothing', ''],
    ['no end', 'K\x01'],
    ['an end within a number', 'J\x01\x02'],
    ['an end within text', 'X\xff\xff\xff\x7fab.'],
    ['an end within a name', 'ctorch'],
    ['an empty stack', '.'],
    ['a tuple of too few', 'K\x01\x86.'],
    ['no mark', 'K\x01t.'],
    ['a number that was not kept', 'h\x09.'],
    ['a later protocol', '\x80\x09K\x01.'],
    ['an invalid list', 'K\x01K\x02a.'],
    ['a tensor without a shape', `ctorch._utils\n_rebuild_tensor_v2\n(${STORAGE}K\0tR.`],
    ['a storage named by a list that names itself', '(X\x07\0\0\0storagectorch\nFloatStorage\n]q\x01h\x01ah\x01tQ.'],
    ['a global named by a list', ']]\x93.'],
  ] as const) {
    it(`reports what is wrong with a pickle of ${what}`, async () => {
      expect((await refusal(() => unpickle(opcodes))).code).to.equal('CHECKPOINT_INVALID');
    });
  }
});
