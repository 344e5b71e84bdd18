// The picture itself out of focus, without its subject: `models/matting/backdrop.py`.

import { dilateBySquare } from "./dilation.js";
import { blur, gaussian, type Raster } from "./gaussian.js";
import { enlarge, makeGrid } from "./grid.js";
import { type Colours, copyColours, type Matte, type Rectangle, whole } from "./pixels.js";
import { reduceColours, reduceMatte } from "./reduce.js";
import { spread } from "./spread.js";

/** Longest side of the grid on which the place of the subject is filled, in cells. */
const MOST_CELLS = 320;
/** A blur of at least this many cells looks the same at full size. */
const CELLS_PER_SIGMA = 1.5;
/** A grid has at least this many cells along the longer side, however wide the blur. */
const LEAST_CELLS = 96;
/** Where the subject has so little opacity that it hardly counts, its edge's colours are let go. */
const SHARE = Float32Array.from(
  { length: 256 },
  (_, level) => Math.round(255 * (1 - (1 - level / 255) ** 16)) / 255,
);

/** Rows that are filled at once. */
const STRIP = 64;

/**
 * Blur what is behind the subject by so many pixels (the Gaussian's standard deviation; with 0 the
 * subject is only taken out). The background around it is spread over the subject first.
 */
export function blurBackdrop(colours: Colours, matte: Matte, sigma: number): Colours {
  const longest = Math.max(matte.width, matte.height);
  const held = Math.min(sigma, longest);
  let step = 1;
  while (Math.min(held / CELLS_PER_SIGMA, longest / LEAST_CELLS) >= 2 * step) step *= 2;
  const grid = makeGrid(matte, Math.ceil(longest / step));
  const filled = fill(reduceColours(colours, grid), reduceMatte(matte, grid));
  const blurred = filled.data;
  const across = weights(held, grid.stepX);
  const down = weights(held, grid.stepY);
  blur(filled, whole(filled), { across, down, border: "reflect" }, (y, line) =>
    blurred.set(line, y * line.length),
  );
  const backdrop = copyColours(colours);
  enlarge(filled, grid, whole(matte), (y, line) => {
    for (let i = 0, to = 4 * y * matte.width; i < line.length; i += 3, to += 4) {
      backdrop.data[to] = line[i]!;
      backdrop.data[to + 1] = line[i + 1]!;
      backdrop.data[to + 2] = line[i + 2]!;
    }
  });
  return backdrop;
}

/** In cells; to average and to interpolate blurs by half a cell already. */
function weights(sigma: number, step: number): Float64Array {
  const cells = Math.sqrt(Math.max(0, (sigma / step) ** 2 - (step > 1 ? 0.25 : 0)));
  return gaussian(cells, Math.floor(3 * cells));
}

/** The background around the subject put in its place: three levels per pixel. */
function fill(colours: Colours, matte: Matte): Raster & { data: Uint8ClampedArray } {
  const { width, height } = matte;
  // One cell more: the subject's edge has its colours.
  const widened = dilateBySquare(matte);
  const grid = makeGrid(matte, MOST_CELLS);
  const far = spread(reduceColours(colours, grid), reduceMatte(widened, grid).data, true);
  const data = new Uint8ClampedArray(3 * width * height);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = colours.data[from]!;
    data[to + 1] = colours.data[from + 1]!;
    data[to + 2] = colours.data[from + 2]!;
  }
  const layer = { width: grid.width, height: grid.height, channels: 3, data: far };
  for (const part of stripsOf(widened)) {
    enlarge(layer, grid, part, (y, line) => {
      for (let x = 0, pixel = y * width + part.left; x < part.width; x++, pixel++) {
        const share = SHARE[widened.data[pixel]!]!;
        if (share === 0) continue;
        for (let c = 0; c < 3; c++) {
          const own = data[3 * pixel + c]!;
          data[3 * pixel + c] = own + share * (line[3 * x + c]! - own);
        }
      }
    });
  }
  return { width, height, channels: 3, data };
}

/** The part of each strip of rows in which there is something of the subject. */
function stripsOf({ width, height, data }: Matte): Rectangle[] {
  const strips: Rectangle[] = [];
  for (let top = 0; top < height; top += STRIP) {
    const bottom = Math.min(height, top + STRIP);
    let [left, right] = [width, 0];
    for (let row = top * width; row < bottom * width; row += width) {
      let x = 0;
      while (x < left && data[row + x] === 0) x++;
      left = x;
      x = width;
      while (x > right && data[row + x - 1] === 0) x--;
      right = x;
    }
    if (left < right) strips.push({ left, top, width: right - left, height: bottom - top });
  }
  return strips;
}
