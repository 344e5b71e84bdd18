// Around every pixel, alpha as a linear function of colour: `models/matting/guided_filter.py`.

import { boxBlur } from "./box.js";
import type { Colours } from "./pixels.js";

/** Weight of a pixel the matte calls 0.5, against 1 for a certain one. */
const DOUBT = 0.3;
/** Alpha that varies by less than this inside a window counts as constant there. */
const CONSTANT = 1.5 / 255;
/** Weight, red, green, blue, alpha, three colours with alpha, six pairs of colours. */
const MOMENTS = 14;

export interface Window {
  readonly x: number;
  readonly y: number;
}

/**
 * Fit `alpha = red * r + green * g + blue * b + offset` in windows of so many pixels on each side;
 * alpha and colours are 0 to 1. Four numbers per pixel; where alpha is constant they are 0, 0, 0
 * and alpha.
 */
export function fitPlanes(
  guide: Colours,
  alpha: Float32Array,
  reach: Window,
  epsilon: number,
): Float32Array {
  const { width, height } = guide;
  const planes = new Float32Array(4 * alpha.length);
  const spread = spreadOf(alpha, width, height, reach);
  const sums = moments(guide, alpha);
  boxBlur(sums, width, height, MOMENTS, reach.x, reach.y);
  for (let i = 0; i < alpha.length; i++) {
    if (spread[i]! > CONSTANT) solve(sums, MOMENTS * i, epsilon, planes, 4 * i);
    else planes[4 * i + 3] = alpha[i]!;
  }
  // A pixel lies in many windows: the average of their planes.
  boxBlur(planes, width, height, 4, reach.x, reach.y);
  return planes;
}

function moments({ data }: Colours, alpha: Float32Array): Float32Array {
  const all = new Float32Array(MOMENTS * alpha.length);
  for (let pixel = 0, i = 0; pixel < alpha.length; pixel++, i += MOMENTS) {
    const value = alpha[pixel]!;
    const weight = DOUBT + (1 - DOUBT) * (2 * value - 1) ** 2;
    const red = data[4 * pixel]! / 255;
    const green = data[4 * pixel + 1]! / 255;
    const blue = data[4 * pixel + 2]! / 255;
    all[i] = weight;
    all[i + 1] = weight * red;
    all[i + 2] = weight * green;
    all[i + 3] = weight * blue;
    all[i + 4] = weight * value;
    all[i + 5] = weight * red * value;
    all[i + 6] = weight * green * value;
    all[i + 7] = weight * blue * value;
    all[i + 8] = weight * red * red;
    all[i + 9] = weight * red * green;
    all[i + 10] = weight * red * blue;
    all[i + 11] = weight * green * green;
    all[i + 12] = weight * green * blue;
    all[i + 13] = weight * blue * blue;
  }
  return all;
}

/** Solve one 3 x 3 ridge regression in closed form. */
function solve(sums: Float32Array, i: number, epsilon: number, planes: Float32Array, to: number) {
  const share = 1 / sums[i]!;
  const r = sums[i + 1]! * share;
  const g = sums[i + 2]! * share;
  const b = sums[i + 3]! * share;
  const a = sums[i + 4]! * share;
  const ra = sums[i + 5]! * share - r * a;
  const ga = sums[i + 6]! * share - g * a;
  const ba = sums[i + 7]! * share - b * a;
  // Rounding can leave a variance a little below 0; the ridge must stay a ridge.
  const rr = Math.max(sums[i + 8]! * share - r * r, 0) + epsilon;
  const rg = sums[i + 9]! * share - r * g;
  const rb = sums[i + 10]! * share - r * b;
  const gg = Math.max(sums[i + 11]! * share - g * g, 0) + epsilon;
  const gb = sums[i + 12]! * share - g * b;
  const bb = Math.max(sums[i + 13]! * share - b * b, 0) + epsilon;
  const first = gg * bb - gb * gb;
  const second = gb * rb - rg * bb;
  const third = rg * gb - gg * rb;
  const determinant = Math.max(rr * first + rg * second + rb * third, 0.25 * epsilon ** 3);
  const mixed = rb * rg - rr * gb;
  const red = (first * ra + second * ga + third * ba) / determinant;
  const green = (second * ra + (rr * bb - rb * rb) * ga + mixed * ba) / determinant;
  const blue = (third * ra + mixed * ga + (rr * gg - rg * rg) * ba) / determinant;
  planes[to] = red;
  planes[to + 1] = green;
  planes[to + 2] = blue;
  planes[to + 3] = a - (red * r + green * g + blue * b);
}

/** The highest less the lowest value of each window. */
function spreadOf(values: Float32Array, width: number, height: number, reach: Window) {
  const highest = extreme(values, width, height, reach, Math.max);
  const lowest = extreme(values, width, height, reach, Math.min);
  for (let i = 0; i < highest.length; i++) highest[i]! -= lowest[i]!;
  return highest;
}

function extreme(
  values: Float32Array,
  width: number,
  height: number,
  reach: Window,
  choose: (a: number, b: number) => number,
): Float32Array {
  const across = values.slice();
  for (let y = 0; y < height; y++) {
    for (let k = 1; k <= reach.x; k++) {
      for (let i = y * width; i < (y + 1) * width - k; i++) {
        across[i] = choose(across[i]!, values[i + k]!);
        across[i + k] = choose(across[i + k]!, values[i]!);
      }
    }
  }
  const result = across.slice();
  for (let k = 1; k <= reach.y; k++) {
    for (let i = 0; i < values.length - k * width; i++) {
      result[i] = choose(result[i]!, across[i + k * width]!);
      result[i + k * width] = choose(result[i + k * width]!, across[i]!);
    }
  }
  return result;
}
