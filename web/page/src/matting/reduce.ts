// A picture on a grid. Square cells are averaged by halves, each rounded, as the service does: what
// is fitted to colours is that sensitive.

import type { Grid } from "./grid.js";
import { type Colours, type Matte, type Rectangle, whole } from "./pixels.js";

/** The mean of each whole cell. */
export function reduceMatte(matte: Matte, grid: Grid): Matte {
  if (grid.stepX !== grid.stepY) return averageMatte(matte, grid);
  let reduced = matte;
  for (let step = grid.stepX / 2; step >= 1; step /= 2) {
    reduced = halveMatte(reduced, grid.width * step, grid.height * step);
  }
  return reduced;
}

/** The mean of each whole cell. */
export function reduceColours(colours: Colours, grid: Grid): Colours {
  if (grid.stepX !== grid.stepY) return averageColours(colours, grid);
  let reduced = colours;
  for (let step = grid.stepX / 2; step >= 1; step /= 2) {
    reduced = halveColours(reduced, grid.width * step, grid.height * step);
  }
  return reduced;
}

function halveMatte(matte: Matte, width: number, height: number): Matte {
  const data = new Uint8Array(width * height);
  const full = matte.data;
  for (let y = 0, to = 0; y < height; y++) {
    let from = 2 * y * matte.width;
    let below = from + matte.width;
    for (let x = 0; x < width; x++, to++, from += 2, below += 2) {
      data[to] = (full[from]! + full[from + 1]! + full[below]! + full[below + 1]! + 2) >> 2;
    }
  }
  return { width, height, data };
}

function halveColours(colours: Colours, width: number, height: number): Colours {
  const data = new Uint8ClampedArray(4 * width * height);
  const full = colours.data;
  for (let y = 0, to = 0; y < height; y++) {
    let from = 8 * y * colours.width;
    let below = from + 4 * colours.width;
    for (let x = 0; x < width; x++, to += 4, from += 8, below += 8) {
      for (let c = 0; c < 3; c++) {
        const above = full[from + c]! + full[from + 4 + c]!;
        data[to + c] = (above + full[below + c]! + full[below + 4 + c]! + 2) >> 2;
      }
    }
  }
  return { width, height, data };
}

/** The mean of each cell of a part; pixels beyond it repeat the last one inside. */
export function averageMatte(matte: Matte, grid: Grid, part: Rectangle = whole(matte)): Matte {
  const { width, height } = grid;
  const data = new Uint8Array(width * height);
  const sums = new Uint32Array(width);
  for (let row = 0; row < height; row++) {
    sums.fill(0);
    for (let dy = 0; dy < grid.stepY; dy++) {
      const y = Math.min(row * grid.stepY + dy, part.height - 1);
      const first = (part.top + y) * matte.width + part.left;
      addMatteRow(matte.data, first, part.width - 1, grid.stepX, sums);
    }
    const share = 1 / (grid.stepX * grid.stepY);
    for (let x = 0; x < width; x++) data[row * width + x] = sums[x]! * share + 0.5;
  }
  return { width, height, data };
}

function addMatteRow(
  data: Uint8Array,
  first: number,
  last: number,
  step: number,
  sums: Uint32Array,
): void {
  for (let cell = 0, x = 0; cell < sums.length; cell++, x += step) {
    let total = 0;
    const inside = Math.min(x + step, last + 1);
    for (let i = x; i < inside; i++) total += data[first + i]!;
    total += (x + step - inside) * data[first + last]!;
    sums[cell]! += total;
  }
}

function averageColours(colours: Colours, grid: Grid): Colours {
  const { width, height } = grid;
  const data = new Uint8ClampedArray(4 * width * height);
  const sums = new Uint32Array(4 * width);
  const share = 1 / (grid.stepX * grid.stepY);
  for (let row = 0; row < height; row++) {
    sums.fill(0);
    for (let dy = 0; dy < grid.stepY; dy++) {
      addColoursRow(colours.data, 4 * (row * grid.stepY + dy) * colours.width, grid.stepX, sums);
    }
    for (let i = 0; i < sums.length; i++) data[4 * row * width + i] = sums[i]! * share;
  }
  return { width, height, data };
}

function addColoursRow(data: Uint8ClampedArray, first: number, step: number, sums: Uint32Array) {
  for (let cell = 0, i = first; cell < sums.length; cell += 4) {
    let red = 0;
    let green = 0;
    let blue = 0;
    for (const end = i + 4 * step; i < end; i += 4) {
      red += data[i]!;
      green += data[i + 1]!;
      blue += data[i + 2]!;
    }
    sums[cell]! += red;
    sums[cell + 1]! += green;
    sums[cell + 2]! += blue;
  }
}
