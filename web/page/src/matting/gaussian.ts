import type { Rectangle } from "./pixels.js";

/** A picture of any kind: so many values per pixel. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array | Uint8ClampedArray | Float32Array;
}

/**
 * What lies outside a picture: the nearest pixel inside, or its mirror image with the outermost
 * pixel twice (`reflect`) or once (`mirror`).
 */
export type Border = "nearest" | "reflect" | "mirror";

/** Weights of the middle and of each distance from it, along rows and along columns. */
export interface Kernel {
  readonly across: Float64Array;
  readonly down: Float64Array;
  readonly border: Border;
}

/** A Gaussian's weights up to a distance, which sum up to 1 with both sides. */
export function gaussian(sigma: number, reach: number): Float64Array {
  const weights = new Float64Array(reach + 1);
  let total = 0;
  for (let k = 0; k <= reach; k++) {
    const weight = k === 0 ? 1 : Math.exp(-(k * k) / (2 * sigma * sigma));
    weights[k] = weight;
    total += k === 0 ? weight : 2 * weight;
  }
  return weights.map((weight) => weight / total);
}

/**
 * Blur a part of a picture, row by row: `take` is given each row's values, which it must copy.
 * No more than the rows under the kernel are kept; a row may be written over once it was taken.
 */
export function blur(
  source: Raster,
  part: Rectangle,
  kernel: Kernel,
  take: (y: number, line: Float32Array) => void,
): void {
  const { across, down, border } = kernel;
  const reach = down.length - 1;
  const length = part.width * source.channels;
  const last = source.height - 1;
  const ring = Array.from(
    { length: Math.min(source.height, 2 * reach + 1) },
    () => new Float32Array(length),
  );
  const padded = new Float32Array((part.width + 2 * (across.length - 1)) * source.channels);
  const at = (y: number) => ring[inside(y, source.height, border) % ring.length]!;
  const total = new Float32Array(length);
  let next = Math.max(0, part.top - reach);
  for (let y = part.top; y < part.top + part.height; y++) {
    for (; next <= Math.min(last, y + reach); next++) {
      readLine(source, part, next, across.length - 1, border, padded);
      blurLine(padded, across, source.channels, ring[next % ring.length]!);
    }
    scale(at(y), down[0]!, total);
    for (let k = 1; k <= reach; k++) addPair(at(y - k), at(y + k), down[k]!, total);
    take(y, total);
  }
}

/** Where a row or column that may lie outside is found inside. */
function inside(index: number, size: number, border: Border): number {
  if (index >= 0 && index < size) return index;
  if (border === "nearest" || size === 1) return index < 0 ? 0 : size - 1;
  const twice = border === "mirror" ? 2 * size - 2 : 2 * size;
  const around = ((index % twice) + twice) % twice;
  if (around < size) return around;
  return border === "mirror" ? twice - around : twice - 1 - around;
}

/** A row of a part, with so many pixels beyond it on each side. */
function readLine(
  source: Raster,
  part: Rectangle,
  y: number,
  reach: number,
  border: Border,
  line: Float32Array,
): void {
  const { width, channels, data } = source;
  const left = part.left - reach;
  const right = part.left + part.width + reach;
  const from = Math.max(0, left);
  const to = Math.min(width, right);
  line.set(
    data.subarray((y * width + from) * channels, (y * width + to) * channels),
    (from - left) * channels,
  );
  for (let x = left; x < right; x++) {
    if (x === from) x = to;
    if (x >= right) break;
    const near = (y * width + inside(x, width, border)) * channels;
    for (let c = 0; c < channels; c++) line[(x - left) * channels + c] = data[near + c]!;
  }
}

function blurLine(
  padded: Float32Array,
  weights: Float64Array,
  channels: number,
  line: Float32Array,
): void {
  const reach = weights.length - 1;
  const middle = reach * channels;
  const first = weights[0]!;
  for (let i = 0; i < line.length; i++) {
    const centre = i + middle;
    let total = first * padded[centre]!;
    for (let k = 1, step = channels; k <= reach; k++, step += channels) {
      total += weights[k]! * (padded[centre - step]! + padded[centre + step]!);
    }
    line[i] = total;
  }
}

function scale(values: Float32Array, weight: number, total: Float32Array): void {
  for (let i = 0; i < total.length; i++) total[i] = weight * values[i]!;
}

function addPair(
  one: Float32Array,
  other: Float32Array,
  weight: number,
  total: Float32Array,
): void {
  for (let i = 0; i < total.length; i++) total[i]! += weight * (one[i]! + other[i]!);
}
