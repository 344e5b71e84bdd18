// A reduced grid of cells, and back to pixels: `models/matting/grid.py`. What varies slowly is
// computed on the grid; only what is near a soft edge returns to full size.

import { distances } from "./cells.js";
import type { Raster } from "./gaussian.js";
import type { Matte, Rectangle } from "./pixels.js";

/** Side of the blocks that are worked on or skipped, in pixels. */
const BLOCK = 64;
/** How far an edge is seen from, in cells. */
const NEAR = 2;

/** Cells of so many pixels each. Pixels beyond the last whole cell repeat it. */
export interface Grid {
  readonly width: number;
  readonly height: number;
  readonly stepX: number;
  readonly stepY: number;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Square cells of a power of two, at most so many along the longer side; none but whole ones. */
export function makeGrid({ width, height }: Size, mostCells: number): Grid {
  let step = 1;
  while (Math.max(width, height) > step * mostCells) step *= 2;
  return {
    width: Math.max(1, Math.floor(width / step)),
    height: Math.max(1, Math.floor(height / step)),
    stepX: Math.min(step, width),
    stepY: Math.min(step, height),
  };
}

/** Square cells of so many pixels that cover a picture, the last ones in part. */
export function coverWithGrid({ width, height }: Size, step: number): Grid {
  return {
    width: Math.ceil(width / step),
    height: Math.ceil(height / step),
    stepX: step,
    stepY: step,
  };
}

/**
 * Runs of neighbouring blocks where alpha is not 0 or 255 throughout, in cells.
 *
 * @param reach how far from there blocks count as well, in cells.
 */
export function softBlocks(coarse: Matte, grid: Grid, reach = 0): Rectangle[] {
  const soft = reach > 0 ? around(softCells(coarse), grid, reach) : softCells(coarse);
  const across = Math.max(1, Math.floor(BLOCK / grid.stepX));
  const down = Math.max(1, Math.floor(BLOCK / grid.stepY));
  const found: Rectangle[] = [];
  for (let top = 0; top < grid.height; top += down) {
    const height = Math.min(down, grid.height - top);
    let from = -1;
    for (let left = 0; left < grid.width + across; left += across) {
      const width = Math.min(across, grid.width - left);
      const active = anySoft(soft, grid.width, { left, top, width, height });
      if (active && from < 0) from = left;
      if (active || from < 0) continue;
      found.push({ left: from, top, width: Math.min(left, grid.width) - from, height });
      from = -1;
    }
  }
  return found;
}

/** A block of cells in pixels, with what lies beyond the last whole cell. */
export function pixelsOf(cells: Rectangle, grid: Grid, size: Size): Rectangle {
  const left = cells.left * grid.stepX;
  const top = cells.top * grid.stepY;
  const lastX = cells.left + cells.width;
  const lastY = cells.top + cells.height;
  const right = lastX === grid.width ? size.width : lastX * grid.stepX;
  const bottom = lastY === grid.height ? size.height : lastY * grid.stepY;
  return { left, top, width: right - left, height: bottom - top };
}

/** Cells from which something between 0 and 255, or both of them, can be seen. */
function softCells({ width, height, data }: Matte): Uint8Array {
  const soft = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let most = 0;
      let least = 255;
      for (let j = Math.max(0, y - NEAR); j <= Math.min(height - 1, y + NEAR); j++) {
        for (let i = Math.max(0, x - NEAR); i <= Math.min(width - 1, x + NEAR); i++) {
          const value = data[j * width + i]!;
          if (value > most) most = value;
          if (value < least) least = value;
        }
      }
      soft[y * width + x] = most > 0 && least < 255 ? 1 : 0;
    }
  }
  return soft;
}

// Distances are up to a twelfth too long.
function around(soft: Uint8Array, { width, height }: Grid, reach: number): Uint8Array {
  const most = (13 / 12) * reach;
  return Uint8Array.from(distances(soft, width, height), (one) => (one <= most ? 1 : 0));
}

function anySoft(soft: Uint8Array, stride: number, { left, top, width, height }: Rectangle) {
  for (let y = top; y < top + height; y++) {
    for (let x = left; x < left + width; x++) if (soft[y * stride + x]) return true;
  }
  return false;
}

/**
 * Interpolate a grid's values to a part of the pixels, row by row: `take` is given each row's
 * values, which it must copy.
 */
export function enlarge(
  values: Raster,
  grid: Grid,
  part: Rectangle,
  take: (y: number, line: Float32Array) => void,
): void {
  const { channels, data } = values;
  const columns = between(part.left, part.width, grid.stepX, grid.width);
  const rows = between(part.top, part.height, grid.stepY, grid.height);
  const left = columns.one[0]!;
  const first = left * channels;
  const cells = new Float32Array((columns.other[part.width - 1]! + 1 - left) * channels);
  const line = new Float32Array(part.width * channels);
  const apart = grid.stepX > 1;
  for (let y = 0; y < part.height; y++) {
    const above = rows.one[y]! * grid.width * channels + first;
    const below = rows.other[y]! * grid.width * channels + first;
    mixRows(data, above, below, rows.share[y]!, cells);
    if (apart) mixColumns(cells, columns, left, channels, line);
    take(part.top + y, apart ? line : cells);
  }
}

function mixRows(
  data: Raster["data"],
  above: number,
  below: number,
  share: number,
  cells: Float32Array,
): void {
  if (share === 0) return cells.set(data.subarray(above, above + cells.length));
  for (let i = 0; i < cells.length; i++) {
    const value = data[above + i]!;
    cells[i] = value + share * (data[below + i]! - value);
  }
}

function mixColumns(
  cells: Float32Array,
  { one, other, share }: ReturnType<typeof between>,
  left: number,
  channels: number,
  line: Float32Array,
): void {
  const first = left * channels;
  for (let x = 0, i = 0; i < line.length; x++) {
    const part = share[x]!;
    let from = one[x]! * channels - first;
    let to = other[x]! * channels - first;
    for (let c = 0; c < channels; c++, i++, from++, to++) {
      const value = cells[from]!;
      line[i] = value + part * (cells[to]! - value);
    }
  }
}

/** The two cells each pixel lies between, and its share of the other. */
function between(from: number, count: number, step: number, cells: number) {
  const one = new Int32Array(count);
  const other = new Int32Array(count);
  const share = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const at = Math.min(cells - 1, Math.max(0, (from + i + 0.5) / step - 0.5));
    one[i] = Math.floor(at);
    other[i] = Math.min(cells - 1, one[i]! + 1);
    share[i] = at - one[i]!;
  }
  return { one, other, share };
}
