// A small matte brought to the size of its picture, edges on real edges: `models/matting/refine.py`.

import type { Raster } from "./gaussian.js";
import { enlarge, type Grid, makeGrid, pixelsOf, softBlocks } from "./grid.js";
import { fitPlanes } from "./guidedFilter.js";
import { type Colours, type Matte, makeMatte, rounding, whole } from "./pixels.js";
import { reduceColours } from "./reduce.js";
import { shrinkByArea } from "./resample.js";

export interface Refinement {
  /** Half side of the window in which alpha follows colour, in pixels of the small matte. */
  readonly radius: number;
  /** Larger: smoother, and less misled by noise. */
  readonly epsilon: number;
  /** Alpha that becomes 0, and alpha that becomes 1. */
  readonly low: number;
  readonly high: number;
  /** Longest side of the grid on which the fit is made. */
  readonly maxSide: number;
}

/** Bring a matte of any size to the size of its picture. */
export function refineAlpha(small: Matte, source: Colours, refinement: Refinement): Matte {
  const grid = makeGrid(source, refinement.maxSide);
  const guide = reduceColours(source, grid);
  const reach = {
    x: Math.max(1, roundHalfToEven((refinement.radius * source.width) / small.width / grid.stepX)),
    y: Math.max(
      1,
      roundHalfToEven((refinement.radius * source.height) / small.height / grid.stepY),
    ),
  };
  const planes = fitPlanes(guide, sample(small, grid, source), reach, refinement.epsilon);
  // The colours of a picture are 0 to 255, and so is what comes out.
  const gain = 1 / (refinement.high - refinement.low);
  for (let i = 0; i < planes.length; i += 4) {
    planes[i]! *= gain;
    planes[i + 1]! *= gain;
    planes[i + 2]! *= gain;
    planes[i + 3] = (planes[i + 3]! - refinement.low) * 255 * gain;
  }
  return applyPlanes({ ...guide, channels: 4, data: planes }, guide, source, grid);
}

function roundHalfToEven(value: number): number {
  return value % 1 === 0.5 ? 2 * Math.round(value / 2) : Math.round(value);
}

/** The matte at the centres of the cells, 0 to 1. */
function sample(small: Matte, grid: Grid, size: { width: number; height: number }): Float32Array {
  const width = Math.min(grid.width, small.width);
  const height = Math.min(grid.height, small.height);
  const inner = shrinkByArea({ ...small, channels: 1 }, width, height);
  const columns = lookUp(grid.width, (width * grid.stepX) / size.width, width);
  const rows = lookUp(grid.height, (height * grid.stepY) / size.height, height);
  const alpha = new Float32Array(grid.width * grid.height);
  for (let y = 0, i = 0; y < grid.height; y++) {
    const { one: above, other: below, share: down } = rows[y]!;
    for (let x = 0; x < grid.width; x++, i++) {
      const { one, other, share } = columns[x]!;
      const upper = mix(inner[above * width + one]!, inner[above * width + other]!, share);
      const lower = mix(inner[below * width + one]!, inner[below * width + other]!, share);
      alpha[i] = mix(upper, lower, down) / 255;
    }
  }
  return alpha;
}

function lookUp(cells: number, scale: number, size: number) {
  return Array.from({ length: cells }, (_, i) => {
    const at = Math.min(size - 1, Math.max(0, (i + 0.5) * scale - 0.5));
    const one = Math.floor(at);
    return { one, other: Math.min(size - 1, one + 1), share: at - one };
  });
}

function mix(one: number, other: number, share: number): number {
  return one + share * (other - one);
}

/** Evaluate the planes: on the picture where there is an edge, else on the grid. */
function applyPlanes(planes: Raster, guide: Colours, source: Colours, grid: Grid): Matte {
  const coarse = makeMatte(guide);
  evaluate(planes.data, guide.data, 0, rounding(coarse), 0, coarse.data.length);
  const alpha = repeatCells(coarse, grid, source);
  const result = rounding(alpha);
  for (const cells of softBlocks(coarse, grid)) {
    const part = pixelsOf(cells, grid, source);
    enlarge(planes, grid, part, (y, line) => {
      const first = y * source.width + part.left;
      evaluate(line, source.data, first, result, first, part.width);
    });
  }
  return alpha;
}

function evaluate(
  planes: Raster["data"],
  colours: Uint8ClampedArray,
  from: number,
  result: Uint8ClampedArray,
  to: number,
  count: number,
): void {
  for (let i = 0, plane = 0, colour = 4 * from; i < count; i++, plane += 4, colour += 4) {
    result[to + i] =
      planes[plane]! * colours[colour]! +
      planes[plane + 1]! * colours[colour + 1]! +
      planes[plane + 2]! * colours[colour + 2]! +
      planes[plane + 3]!;
  }
}

/** Each cell's value in all of its pixels: what is far from an edge is constant. */
function repeatCells(coarse: Matte, grid: Grid, size: { width: number; height: number }): Matte {
  const alpha = makeMatte(size);
  for (let row = 0; row < grid.height; row++) {
    const cells = pixelsOf({ ...whole(grid), top: row, height: 1 }, grid, size);
    const first = cells.top * size.width;
    for (let column = 0; column < grid.width; column++) {
      const left = first + column * grid.stepX;
      const right = column === grid.width - 1 ? first + size.width : left + grid.stepX;
      alpha.data.fill(coarse.data[row * grid.width + column]!, left, right);
    }
    for (let y = 1; y < cells.height; y++) {
      alpha.data.copyWithin(first + y * size.width, first, first + size.width);
    }
  }
  return alpha;
}
