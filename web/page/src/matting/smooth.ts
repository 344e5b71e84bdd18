import { blur, gaussian, type Kernel } from "./gaussian.js";
import { nearEdge } from "./nearEdge.js";
import { copyMatte, type Matte, type Rectangle } from "./pixels.js";

/** The service's weights for a sigma of 1: whole 256ths. */
const ONE = Float64Array.of(104, 62, 14).map((weight) => weight / 256);

/**
 * Take the stair-steps out of an edge: a Gaussian cut off at two sigma, held within the range of
 * the neighbourhood of `ceil(sigma)` pixels, so that no halo grows and certain regions stay.
 * Sigma 1 is the service's `smooth_alpha`, to the bit.
 */
export function smoothAlpha(matte: Matte, sigma = 1): Matte {
  const reach = Math.floor(2 * sigma);
  const smoothed = copyMatte(matte);
  if (reach <= 0) return smoothed;
  const weights = sigma === 1 ? ONE : gaussian(sigma, reach);
  const kernel: Kernel = { across: weights, down: weights, border: "nearest" };
  const around = Math.ceil(sigma);
  for (const block of nearEdge(matte, reach)) {
    const range = extremes(matte, block, around);
    blur({ ...matte, channels: 1 }, block, kernel, (y, line) => {
      const to = y * matte.width + block.left;
      const from = (y - block.top) * block.width;
      for (let x = 0; x < block.width; x++) {
        const value = Math.floor(line[x]! + 0.5);
        const held = Math.max(range.lowest[from + x]!, Math.min(range.highest[from + x]!, value));
        smoothed.data[to + x] = held;
      }
    });
  }
  return smoothed;
}

/** The lowest and highest value within so many pixels, for each pixel of a block. */
function extremes(matte: Matte, block: Rectangle, around: number) {
  const { left, top, width, height } = block;
  const lowest = new Uint8Array(width * height).fill(255);
  const highest = new Uint8Array(width * height);
  const least = new Uint8Array(width);
  const most = new Uint8Array(width);
  const first = Math.max(0, top - around);
  const last = Math.min(matte.height - 1, top + height - 1 + around);
  for (let y = first; y <= last; y++) {
    least.fill(255);
    most.fill(0);
    for (let k = -around; k <= around; k++) {
      const from = Math.max(0, -left - k);
      const to = Math.min(width, matte.width - left - k);
      const row = y * matte.width + left + k;
      for (let x = from; x < to; x++) {
        const value = matte.data[row + x]!;
        least[x] = Math.min(least[x]!, value);
        most[x] = Math.max(most[x]!, value);
      }
    }
    const end = Math.min(top + height - 1, y + around);
    for (let seen = Math.max(top, y - around); seen <= end; seen++) {
      for (let x = 0, i = (seen - top) * width; x < width; x++, i++) {
        lowest[i] = Math.min(lowest[i]!, least[x]!);
        highest[i] = Math.max(highest[i]!, most[x]!);
      }
    }
  }
  return { lowest, highest };
}
