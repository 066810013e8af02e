/** A tag's number, its type (1 bytes, 2 text, 3 shorts, 4 longs, 7 any bytes) and its values. */
export type TiffTag = readonly [tag: number, type: 1 | 2 | 3 | 4 | 7, values: readonly number[]];

export interface TiffPageFile {
  readonly tags: readonly TiffTag[];
  readonly pixels: Uint8Array;
  /** Written after this page and referenced by its SubIFDs. */
  readonly children?: readonly TiffPageFile[];
}

const SIZES = { 1: 1, 2: 1, 3: 2, 4: 4, 7: 1 } as const;

/** Creates an uncompressed TIFF with one strip per page, little-endian unless it says otherwise. */
export function writeTiff(pages: readonly TiffPageFile[], isBigEndian = false): Buffer {
  const write = (to: Buffer, value: number, at: number, size: number) =>
    isBigEndian ? to.writeUIntBE(value, at, size) : to.writeUIntLE(value, at, size);
  const parts: Buffer[] = [Buffer.from(isBigEndian ? 'MM\0*\0\0\0\0' : 'II*\0\0\0\0\0', 'latin1')];
  let length = 8;
  const add = (bytes: Uint8Array): number => {
    const at = length;
    const padded = Buffer.concat([bytes, Buffer.alloc(bytes.length % 2)]);
    parts.push(padded);
    length += padded.length;
    return at;
  };
  const addPage = (page: TiffPageFile, next: number): number => {
    const children = (page.children ?? []).map((child) => addPage(child, 0));
    const strip = add(page.pixels);
    const all: TiffTag[] = [...page.tags, [273, 4, [strip]], [279, 4, [page.pixels.length]]];
    if (children.length > 0) all.push([330, 4, children]);
    const entries = all
      .sort(([one], [other]) => one - other)
      .map(([tag, type, values]) => {
        const content = Buffer.alloc(Math.max(4, values.length * SIZES[type]));
        values.forEach((value, index) => {
          write(content, value, index * SIZES[type], SIZES[type]);
        });
        const entry = Buffer.alloc(12);
        write(entry, tag, 0, 2);
        write(entry, type, 2, 2);
        write(entry, values.length, 4, 4);
        if (content.length > 4) write(entry, add(content), 8, 4);
        else content.copy(entry, 8);
        return entry;
      });
    const head = Buffer.alloc(2);
    write(head, entries.length, 0, 2);
    const tail = Buffer.alloc(4);
    write(tail, next, 0, 4);
    return add(Buffer.concat([head, ...entries, tail]));
  };
  const first = [...pages].reverse().reduce((next, page) => addPage(page, next), 0);
  write(parts[0] as Buffer, first, 4, 4);
  return Buffer.concat(parts);
}

export interface ImageTags {
  readonly width: number;
  readonly height: number;
  readonly samples: number;
  readonly bits?: number;
  readonly photometric?: number;
  readonly more?: readonly TiffTag[];
}

/** The tags that every page has. */
export function imageTags({ width, height, samples, bits = 8, photometric = 2, more = [] }: ImageTags): TiffTag[] {
  return [
    [256, 4, [width]],
    [257, 4, [height]],
    [258, 3, new Array<number>(samples).fill(bits)],
    ...(more.some(([tag]) => tag === 259) ? [] : ([[259, 3, [1]]] as const)),
    [262, 3, [photometric]],
    [277, 3, [samples]],
    [278, 4, [height]],
    ...more,
  ];
}
