// Where the subject is in a picture: `models/matting/canvas.py`.

import type { Matte, Rectangle } from "./pixels.js";

/** Below this a matte is faint enough not to be missed by anybody. */
const VISIBLE = 16;
/** A part of fewer than this share of the largest part's visible pixels is a speck. */
const SPECK = 1 / 2000;
/** So is, whatever else there is, a part of fewer than this share of the picture. */
const SPECK_OF_PICTURE = 1 / 40_000;
/** Longest side of the grid on which parts are told apart, in cells. */
const MOST_CELLS = 512;

/** Cells of so many pixels, and how many of them are visible. */
interface Cells {
  readonly side: number;
  readonly width: number;
  readonly height: number;
  readonly counts: Uint32Array;
}

/** The smallest box with all of the subject but for specks of noise; none without a subject. */
export function subjectBox(matte: Matte): Rectangle | undefined {
  const cells = count(matte);
  const { labels, sizes } = label(cells);
  const largest = sizes.reduce((most, size) => Math.max(most, size), 0);
  const least = Math.max(1, largest * SPECK, matte.data.length * SPECK_OF_PICTURE);
  let [left, top, right, bottom] = [matte.width, matte.height, -1, -1];
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] === 0 || sizes[labels[i]!]! < least) continue;
    const x = (i % cells.width) * cells.side;
    const y = Math.floor(i / cells.width) * cells.side;
    if (x >= left && y >= top && x + cells.side <= right && y + cells.side <= bottom) continue;
    const box = boxWithin(matte, x, y, cells.side);
    left = Math.min(left, box.left);
    top = Math.min(top, box.top);
    right = Math.max(right, box.right);
    bottom = Math.max(bottom, box.bottom);
  }
  return right < 0 ? undefined : { left, top, width: right - left, height: bottom - top };
}

function count({ width, height, data }: Matte): Cells {
  const side = Math.max(1, Math.ceil(Math.max(width, height) / MOST_CELLS));
  const columns = Math.ceil(width / side);
  const rows = Math.ceil(height / side);
  const counts = new Uint32Array(columns * rows);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / side) * columns;
    for (let cell = 0; cell < columns; cell++) {
      const end = y * width + Math.min(width, (cell + 1) * side);
      let visible = 0;
      for (let i = y * width + cell * side; i < end; i++) if (data[i]! >= VISIBLE) visible++;
      counts[row + cell]! += visible;
    }
  }
  return { side, width: columns, height: rows, counts };
}

/** Number the parts, cells that touch by a corner included, and count their visible pixels. */
function label({ width, height, counts }: Cells) {
  const labels = new Uint32Array(counts.length);
  const sizes = [0];
  const waiting: number[] = [];
  for (let start = 0; start < counts.length; start++) {
    if (counts[start] === 0 || labels[start] !== 0) continue;
    labels[start] = sizes.length;
    waiting.push(start);
    let size = 0;
    for (let cell = waiting.pop(); cell !== undefined; cell = waiting.pop()) {
      size += counts[cell]!;
      const x = cell % width;
      const y = Math.floor(cell / width);
      for (let j = Math.max(0, y - 1); j <= Math.min(height - 1, y + 1); j++) {
        for (let i = Math.max(0, x - 1); i <= Math.min(width - 1, x + 1); i++) {
          const next = j * width + i;
          if (counts[next] === 0 || labels[next] !== 0) continue;
          labels[next] = sizes.length;
          waiting.push(next);
        }
      }
    }
    sizes.push(size);
  }
  return { labels, sizes };
}

/** The box of what is visible in one cell, which is not empty. */
function boxWithin({ width, height, data }: Matte, x: number, y: number, side: number) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let j = y; j < Math.min(height, y + side); j++) {
    for (let i = x; i < Math.min(width, x + side); i++) {
      if (data[j * width + i]! < VISIBLE) continue;
      left = Math.min(left, i);
      top = Math.min(top, j);
      right = Math.max(right, i + 1);
      bottom = Math.max(bottom, j + 1);
    }
  }
  return { left, top, right, bottom };
}
