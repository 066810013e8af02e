/** A size in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A decoded image: upright, sRGB, transparency on white. */
export interface Image extends Size {
  /** RGB, row by row; width * height * 3 bytes. */
  readonly data: Uint8Array;
  /** Where the whole image would lie; absent: these are all of its pixels. A reduced JPEG may lack less than one at two sides. */
  readonly extent?: Area;
}

/** An area in pixels from the top left corner of an image. */
export interface Area extends Size {
  readonly x: number;
  readonly y: number;
}
