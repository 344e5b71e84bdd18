// The subject's own colours where its edge is soft: `models/matting/foreground.py`.

import type { Raster } from "./gaussian.js";
import { enlarge, type Grid, makeGrid, pixelsOf, softBlocks } from "./grid.js";
import { type Colours, type Matte, overlap, type Rectangle, whole } from "./pixels.js";
import { reduceColours, reduceMatte } from "./reduce.js";
import { spread } from "./spread.js";

/** Longest side of the reduced grid, in cells. */
const MOST_CELLS = 320;

/** Colours of the subject and of what is behind it, everywhere, on a reduced grid. */
export interface Layers {
  readonly grid: Grid;
  /** Six values per cell: red, green, blue of the subject, then of the background. */
  readonly colours: Raster;
  /** Blocks of cells with a soft edge; nothing changes in the others. */
  readonly soft: readonly Rectangle[];
}

/** The true colours of the subject. Opaque pixels keep theirs; those under alpha 0 mean nothing. */
export function estimateForeground(source: Colours, matte: Matte): Colours {
  const { width, height } = source;
  const foreground = { width, height, data: new Uint8ClampedArray(source.data.length) };
  writeForeground(source, matte, spreadLayers(source, matte), whole(source), foreground);
  return foreground;
}

/**
 * What `writeForeground` needs; it is cheap, and to be made anew when the matte has changed.
 *
 * @param reach how far the edge will be moved or softened afterwards, in pixels.
 * @param reduced what `reduceSource` gave, where it is at hand: it is the same for every matte.
 */
export function spreadLayers(
  source: Colours,
  matte: Matte,
  reach = 0,
  reduced = reduceSource(source),
): Layers {
  const grid = makeGrid(source, MOST_CELLS);
  const coarse = reduceMatte(matte, grid);
  const subject = spread(reduced, coarse.data, false);
  const behind = spread(reduced, coarse.data, true);
  const data = new Float32Array(6 * coarse.data.length);
  for (let from = 0, to = 0; from < subject.length; from += 3, to += 6) {
    for (let c = 0; c < 3; c++) {
      data[to + c] = subject[from + c]!;
      data[to + 3 + c] = behind[from + c]!;
    }
  }
  const colours = { width: grid.width, height: grid.height, channels: 6, data };
  return {
    grid,
    colours,
    soft: softBlocks(coarse, grid, reach / Math.min(grid.stepX, grid.stepY)),
  };
}

/** The source's colours on the grid that `spreadLayers` works on. */
export const reduceSource = (source: Colours): Colours =>
  reduceColours(source, makeGrid(source, MOST_CELLS));

/** Write the subject's colours within a rectangle: the source's where no soft edge is near. */
export function writeForeground(
  source: Colours,
  matte: Matte,
  layers: Layers,
  rectangle: Rectangle,
  foreground: Colours,
): void {
  const { grid, colours, soft } = layers;
  const { left, top, width, height } = overlap(rectangle, whole(source));
  for (let y = top; y < top + height; y++) {
    const first = 4 * (y * source.width + left);
    foreground.data.set(source.data.subarray(first, first + 4 * width), first);
  }
  for (const cells of soft) {
    const part = overlap(pixelsOf(cells, grid, source), rectangle);
    if (part.width === 0 || part.height === 0) continue;
    enlarge(colours, grid, part, (y, line) => {
      explain(source.data, matte.data, y * source.width + part.left, line, foreground.data);
    });
  }
}

/** The spread colours, corrected by what their mixture leaves unexplained of each pixel. */
function explain(
  source: Uint8ClampedArray,
  matte: Uint8Array,
  first: number,
  line: Float32Array,
  foreground: Uint8ClampedArray,
): void {
  for (let pixel = first, i = 0; i < line.length; pixel++, i += 6) {
    if (matte[pixel] === 255) continue; // the source's, which it has
    const alpha = matte[pixel]! / 255;
    for (let c = 0; c < 3; c++) {
      const subject = line[i + c]!;
      const mixture = alpha * subject + (1 - alpha) * line[i + 3 + c]!;
      foreground[4 * pixel + c] = subject + alpha * (source[4 * pixel + c]! - mixture);
    }
  }
}
