/** A decoded image: upright, sRGB, transparency on white. */
export interface Image {
  readonly width: number;
  readonly height: number;
  /** RGB, row by row; width * height * 3 bytes. */
  readonly data: Uint8Array;
}
