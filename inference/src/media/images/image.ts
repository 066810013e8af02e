/** An image as its viewer sees it: turned by its EXIF orientation, in sRGB, on white where it was transparent. */
export interface Image {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue; row by row; width * height * 3 bytes. */
  readonly data: Uint8Array;
}
