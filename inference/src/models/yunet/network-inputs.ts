import { FloatPlanes, type Image, type Size } from '../../media/images/index.js';
import { frameOf, type NetworkInput } from './preprocess.js';

/** Memory kept for the next images: three planes of 1312 x 1312, and what else is needed to write them. */
const MAX_KEPT_BYTES = 3 * 1312 * 1312 * 4 + 256 * 1024;

/** Creates the network's inputs and reuses their memory. */
export class NetworkInputs {
  #spare: FloatPlanes | undefined;

  /** Writes images that have the same frame, for the duration of `use`. YuNet reads raw bytes in OpenCV's channel order. */
  async with<T>(
    images: readonly Image[],
    use: (input: NetworkInput) => Promise<T>,
    frame: Size = frameOf(images[0] ?? { width: 0, height: 0 }),
  ): Promise<T> {
    // A concurrent call gets another memory.
    const planes = this.#spare ?? new FloatPlanes();
    this.#spare = undefined;
    try {
      return await use({ values: planes.write(images, frame), images: images.length, ...frame });
    } finally {
      this.#keep(planes);
    }
  }

  #keep(planes: FloatPlanes): void {
    if (planes.bytes <= MAX_KEPT_BYTES && planes.bytes >= (this.#spare?.bytes ?? 0)) this.#spare = planes;
  }
}
