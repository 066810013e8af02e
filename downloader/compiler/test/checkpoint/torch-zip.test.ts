import { torchFile } from '@heimdex/hub';
import { expect } from 'chai';
import { openCheckpoint, Weights } from '../../src/index.js';
import { refusal, temporaryDir } from '../support/dir.js';

const TENSORS = [{ name: 'a', shape: [2, 2], values: Float32Array.of(1, 2, 3, 4) }];

describe('the zip of a torch file', () => {
  const dir = temporaryDir();

  /** As torch writes archives beyond 4 GiB: sizes and offsets in zip64 fields. */
  function asZip64(zip: Buffer): Buffer {
    const end = zip.length - 22;
    const count = zip.readUInt16LE(end + 10);
    const start = zip.readUInt32LE(end + 16);
    const entries: Buffer[] = [];
    for (let index = 0, at = start; index < count; index++) {
      const nameBytes = zip.readUInt16LE(at + 28);
      const head = Buffer.from(zip.subarray(at, at + 46));
      const extra = Buffer.alloc(28);
      extra.writeUInt16LE(1);
      extra.writeUInt16LE(24, 2);
      extra.writeBigUInt64LE(BigInt(head.readUInt32LE(24)), 4);
      extra.writeBigUInt64LE(BigInt(head.readUInt32LE(20)), 12);
      extra.writeBigUInt64LE(BigInt(head.readUInt32LE(42)), 20);
      for (const field of [20, 24, 42]) head.writeUInt32LE(0xffffffff, field);
      head.writeUInt16LE(28, 30);
      entries.push(head, zip.subarray(at + 46, at + 46 + nameBytes), extra);
      at += 46 + nameBytes;
    }
    const directory = Buffer.concat(entries);
    const end64 = Buffer.alloc(56);
    end64.writeUInt32LE(0x06064b50);
    end64.writeBigUInt64LE(44n, 4);
    end64.writeBigUInt64LE(BigInt(count), 24);
    end64.writeBigUInt64LE(BigInt(count), 32);
    end64.writeBigUInt64LE(BigInt(directory.length), 40);
    end64.writeBigUInt64LE(BigInt(start), 48);
    const locator = Buffer.alloc(20);
    locator.writeUInt32LE(0x07064b50);
    locator.writeBigUInt64LE(BigInt(start + directory.length), 8);
    locator.writeUInt32LE(1, 16);
    const last = Buffer.alloc(22, 0xff);
    last.writeUInt32LE(0x06054b50);
    last.writeUInt16LE(0, 20);
    return Buffer.concat([zip.subarray(0, start), directory, end64, locator, last]);
  }

  it('is read in its form for 4 GiB and more', () => {
    const weights = new Weights(openCheckpoint(dir.write('large.pt', asZip64(torchFile(TENSORS)))));
    expect([...weights.take('a', [2, 2])]).to.deep.equal([1, 2, 3, 4]);
    weights.close();
  });

  it('is refused if its zip64 directory is elsewhere', async () => {
    const zip = asZip64(torchFile(TENSORS));
    zip.writeBigUInt64LE(2n ** 60n, zip.length - 22 - 12);
    expect((await refusal(() => openCheckpoint(dir.write('elsewhere.pt', zip)))).code).to.equal('CHECKPOINT_INVALID');
  });

  it('is refused if its pickle is larger than any of a model', async () => {
    const zip = torchFile([{ name: 'a'.repeat(2 ** 22), shape: [1], values: Float32Array.of(1) }]);
    const error = await refusal(() => openCheckpoint(dir.write('long.pt', zip)));
    expect(error.message).to.include('the pickle of long.pt to have at most 4194304 bytes');
  });

  it('is refused if its directory has fewer entries than its end says', async () => {
    const zip = torchFile(TENSORS);
    const at = zip.length - 22 + 10;
    zip.writeUInt16LE(zip.readUInt16LE(at) + 1, at);
    const error = await refusal(() => openCheckpoint(dir.write('fewer.pt', zip)));
    expect(error.code).to.equal('CHECKPOINT_INVALID');
    expect(error.message).to.include('4 of 5 entries in its directory');
  });

  it('is refused if an entry is compressed', async () => {
    const zip = torchFile(TENSORS);
    const start = zip.readUInt32LE(zip.length - 22 + 16);
    zip.writeUInt16LE(8, start + 10);
    const error = await refusal(() => openCheckpoint(dir.write('deflated.pt', zip)));
    expect(error.code).to.equal('CHECKPOINT_UNSUPPORTED');
    expect(error.message).to.include('archive/data.pkl compressed');
  });

  it('is refused if it was written on a big-endian machine', async () => {
    const zip = torchFile(TENSORS);
    zip.write('bigger', zip.indexOf('little'));
    expect((await refusal(() => openCheckpoint(dir.write('big.pt', zip)))).code).to.equal('CHECKPOINT_UNSUPPORTED');
  });

  it('is refused if a storage is shorter than its tensor', async () => {
    const zip = torchFile(TENSORS);
    // The shape's first number, behind the mark: the strides stay those of a contiguous tensor.
    const at = zip.indexOf(Buffer.from('(J\x02\0\0\0J\x02\0\0\0t', 'latin1'));
    zip.writeInt32LE(2 ** 30, at + 2);
    const error = await refusal(() => openCheckpoint(dir.write('short.pt', zip)));
    expect(error.code).to.equal('CHECKPOINT_INVALID');
    expect(error.message).to.include('tensor a');
  });

  it('may have a tensor that begins within its storage, and ends within it', async () => {
    const zip = torchFile(TENSORS);
    // The shape's first number, and the offset, behind the storage.
    zip.writeInt32LE(1, zip.indexOf(Buffer.from('(J\x02\0\0\0J\x02\0\0\0t', 'latin1')) + 2);
    zip.writeInt32LE(2, zip.indexOf('tQJ') + 3);
    const weights = new Weights(openCheckpoint(dir.write('view.pt', zip)));
    expect([...weights.take('a', [1, 2])]).to.deep.equal([3, 4]);
    weights.close();
    zip.writeInt32LE(3, zip.indexOf('tQJ') + 3);
    expect((await refusal(() => openCheckpoint(dir.write('beyond.pt', zip)))).message).to.include('within its storage');
  });

  it('is refused if a tensor has elements of others between its own', async () => {
    const zip = torchFile(TENSORS);
    const at = zip.indexOf(Buffer.from('(J\x02\0\0\0J\x01\0\0\0t', 'latin1'));
    zip.writeInt32LE(3, at + 2);
    const error = await refusal(() => openCheckpoint(dir.write('strides.pt', zip)));
    expect(error.code).to.equal('CHECKPOINT_UNSUPPORTED');
    expect(error.message).to.include('contiguous');
  });

  it('is refused if it has tables but no tensors where a state dict is, by their names', async () => {
    const zip = torchFile(TENSORS, { n_mels: 80 });
    zip.write('other_state_dict', zip.indexOf('model_state_dict'));
    const error = await refusal(() => openCheckpoint(dir.write('training.bin', zip)));
    expect(error.code).to.equal('CHECKPOINT_UNSUPPORTED');
    expect(error.message).to.include('training.bin to hold a state dict, got dims, other_state_dict. Save');
  });

  it('is refused if its value is no table, or if it has none', async () => {
    const none = torchFile(TENSORS);
    none.write('\x80\x02N.', none.indexOf('\x80\x02', 0, 'latin1'), 'latin1');
    const error = await refusal(() => openCheckpoint(dir.write('none.bin', none)));
    expect(error.code).to.equal('CHECKPOINT_UNSUPPORTED');
    expect(error.message).to.include('none.bin to hold a state dict, got something else. Save');
    const other = Buffer.from(torchFile(TENSORS).toString('latin1').replaceAll('/data.pkl', '/data.txt'), 'latin1');
    const missing = await refusal(() => openCheckpoint(dir.write('other.bin', other)));
    expect(missing.code).to.equal('CHECKPOINT_INVALID');
    expect(missing.message).to.include('other.bin to hold data.pkl');
  });

  it('is refused if the older form has no list of storages', async () => {
    const older = Buffer.from('\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.N.N.}.N.', 'latin1');
    const error = await refusal(() => openCheckpoint(dir.write('older.pt', older)));
    expect(error.code).to.equal('CHECKPOINT_INVALID');
    expect(error.message).to.include('older.pt to be a file of torch.save');
  });

  it('is refused if it is missing, also in the case of a web page', async () => {
    for (const text of ['', '<html>not found</html>', 'PK\x03\x04 and nothing more']) {
      expect((await refusal(() => openCheckpoint(dir.write('page.pt', text)))).code).to.equal('CHECKPOINT_INVALID');
    }
  });
});
