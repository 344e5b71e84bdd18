// An edge moved outwards or inwards, or made softer: `models/matting/edges.py`.

import { dilate, LARGEST_DISC, mix } from "./dilation.js";
import { blur, gaussian } from "./gaussian.js";
import { coverWithGrid, enlarge } from "./grid.js";
import { nearEdge } from "./nearEdge.js";
import {
  copyMatte,
  type Matte,
  makeMatte,
  type Rectangle,
  rounding,
  whole,
  widen,
} from "./pixels.js";
import { averageMatte } from "./reduce.js";

/** From this radius on, feathering works at half the size, from twice it at a quarter, and so on. */
const REDUCE_FROM = 16;

/**
 * Move the subject's edge by so many pixels outwards (inwards if negative), whatever its softness.
 * Nothing moves at the border of the picture, where the subject may go on.
 */
export function shiftEdge(matte: Matte, pixels: number): Matte {
  const shifted = copyMatte(matte);
  if (pixels === 0) return shifted;
  const inverted = pixels < 0 ? 255 : 0;
  const distance = Math.abs(pixels);
  const reach = Math.floor(distance) + 1;
  for (const block of nearEdge(matte, reach)) {
    const outer = widen(block, reach, matte);
    const grown = grow(cut(matte, outer, inverted), distance);
    for (let y = block.top; y < block.top + block.height; y++) {
      const from = (y - outer.top) * outer.width + block.left - outer.left;
      const to = y * matte.width + block.left;
      for (let x = 0; x < block.width; x++) {
        shifted.data[to + x] = grown.data[from + x]! ^ inverted;
      }
    }
  }
  return shifted;
}

/**
 * Soften the edge by a Gaussian with this standard deviation in pixels, cut off at three of it.
 * What has no other value within reach stays exactly as it is.
 */
export function feather(matte: Matte, radius: number): Matte {
  const sigma = Math.min(radius, Math.max(matte.width, matte.height));
  const reach = Math.floor(3 * sigma);
  const feathered = copyMatte(matte);
  if (reach <= 0) return feathered;
  if (sigma >= REDUCE_FROM) return featherReduced(matte, sigma);
  const weights = gaussian(sigma, reach);
  const result = rounding(feathered);
  for (const block of nearEdge(matte, reach)) {
    const source = { ...matte, channels: 1 };
    blur(source, block, { across: weights, down: weights, border: "nearest" }, (y, line) =>
      result.set(line, y * matte.width + block.left),
    );
  }
  return feathered;
}

/** Feather at a size at which the radius is 8 to 16 cells, within a few levels of the same. */
function featherReduced(matte: Matte, sigma: number): Matte {
  let step = 2;
  while (sigma / step >= REDUCE_FROM) step *= 2;
  const grid = coverWithGrid(matte, step);
  const coarse = averageMatte(matte, grid);
  // Averaging and interpolating reach one cell each, beyond the Gaussian.
  const weights = gaussian(sigma / step, Math.floor((3 * sigma) / step) - 2);
  const blurred = new Float32Array(coarse.data.length);
  blur(
    { ...coarse, channels: 1 },
    whole(coarse),
    { across: weights, down: weights, border: "nearest" },
    (y, line) => blurred.set(line, y * coarse.width),
  );
  const feathered = makeMatte(matte);
  const result = rounding(feathered);
  enlarge({ ...coarse, channels: 1, data: blurred }, grid, whole(matte), (y, line) =>
    result.set(line, y * matte.width),
  );
  return feathered;
}

function grow(matte: Matte, distance: number): Matte {
  const part = distance - Math.floor(distance);
  let rest = Math.floor(distance);
  let seen = matte;
  for (; rest >= LARGEST_DISC; rest -= LARGEST_DISC) seen = dilate(seen, LARGEST_DISC);
  const near = dilate(seen, rest);
  return part ? mix(near, dilate(seen, rest + 1), part) : near;
}

function cut(matte: Matte, { left, top, width, height }: Rectangle, inverted: number): Matte {
  const data = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const from = (top + y) * matte.width + left;
    for (let x = 0; x < width; x++) data[y * width + x] = matte.data[from + x]! ^ inverted;
  }
  return { width, height, data };
}
