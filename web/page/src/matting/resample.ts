import type { Raster } from "./gaussian.js";

/** Which values make up one of another size, and how much each of them counts. */
export interface Cover {
  readonly first: number;
  readonly weights: Float64Array;
}

/** For each of so many values: an average over an area, or between two where there are more. */
export function coversOf(from: number, to: number): Cover[] {
  return Array.from({ length: to }, (_, i) => (to > from ? between : area)(i, from, to));
}

function area(i: number, from: number, to: number): Cover {
  const scale = from / to;
  const start = i * scale;
  const end = Math.min(from, start + scale);
  const first = Math.floor(start + 1e-6);
  // What is covered by less than a thousandth is rounding.
  const weights = new Float64Array(Math.max(1, Math.ceil(end - 1e-3) - first));
  for (let k = 0; k < weights.length; k++) {
    weights[k] = (Math.min(end, first + k + 1) - Math.max(start, first + k)) / (end - start);
  }
  return { first, weights };
}

function between(i: number, from: number, to: number): Cover {
  const at = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5));
  const first = Math.floor(at);
  return first === at
    ? { first, weights: Float64Array.of(1) }
    : { first, weights: Float64Array.of(first + 1 - at, at - first) };
}

/**
 * Weigh rows and columns. `add` is to add a row of the source, times a weight, to a sum; `take` is
 * given each row of the result, which it must copy.
 */
export function resample(
  across: readonly Cover[],
  down: readonly Cover[],
  channels: number,
  sums: Float64Array,
  add: (y: number, weight: number, sums: Float64Array) => void,
  take: (y: number, line: Float32Array) => void,
): void {
  const line = new Float32Array(across.length * channels);
  for (const [y, rows] of down.entries()) {
    sums.fill(0);
    for (let k = 0; k < rows.weights.length; k++) add(rows.first + k, rows.weights[k]!, sums);
    for (let x = 0, i = 0; x < across.length; x++) {
      const { first, weights } = across[x]!;
      for (let c = 0; c < channels; c++, i++) {
        let total = 0;
        for (let k = 0, at = first * channels + c; k < weights.length; k++, at += channels) {
          total += weights[k]! * sums[at]!;
        }
        line[i] = total;
      }
    }
    take(y, line);
  }
}

/** At a size that is nowhere larger; values stay as fractions. */
export function shrinkByArea({ data, channels, ...size }: Raster, width: number, height: number) {
  const result = new Float32Array(width * height * channels);
  const length = size.width * channels;
  const add = (y: number, weight: number, sums: Float64Array) => {
    for (let x = 0, i = y * length; x < length; x++, i++) sums[x]! += weight * data[i]!;
  };
  resample(
    coversOf(size.width, width),
    coversOf(size.height, height),
    channels,
    new Float64Array(length),
    add,
    (y, line) => result.set(line, y * line.length),
  );
  return result;
}
