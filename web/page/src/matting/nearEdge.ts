import type { Matte, Rectangle } from "./pixels.js";

/** Side of the blocks that are worked on or left out, in pixels. */
const BLOCK = 32;

/**
 * Every pixel that has a different one within reach (up, down, left and right), in rectangles that
 * do not overlap. What lies in none of them sees pixels of its own value only.
 */
export function nearEdge(matte: Matte, reach: number): Rectangle[] {
  const side = Math.max(BLOCK, reach);
  const columns = Math.ceil(matte.width / side);
  const rows = Math.ceil(matte.height / side);
  const { highest, lowest } = extremes(matte, side, columns, rows);
  const found: Rectangle[] = [];
  for (let row = 0; row < rows; row++) {
    let from = -1;
    for (let column = 0; column <= columns; column++) {
      const active = column < columns && differs(highest, lowest, columns, rows, column, row);
      if (active && from < 0) from = column;
      if (active || from < 0) continue;
      const top = row * side;
      const left = from * side;
      const width = Math.min(column * side, matte.width) - left;
      found.push({ left, top, width, height: Math.min(side, matte.height - top) });
      from = -1;
    }
  }
  return found;
}

/** The highest and the lowest value of each block. */
function extremes({ width, height, data }: Matte, side: number, columns: number, rows: number) {
  const highest = new Uint8Array(columns * rows);
  const lowest = new Uint8Array(columns * rows).fill(255);
  for (let y = 0; y < height; y++) {
    const first = Math.floor(y / side) * columns;
    for (let column = 0; column < columns; column++) {
      const end = y * width + Math.min(width, (column + 1) * side);
      let most = highest[first + column]!;
      let least = lowest[first + column]!;
      for (let i = y * width + column * side; i < end; i++) {
        const value = data[i]!;
        if (value > most) most = value;
        if (value < least) least = value;
      }
      highest[first + column] = most;
      lowest[first + column] = least;
    }
  }
  return { highest, lowest };
}

/** Whether a block and its eight neighbours are not all of one value. */
function differs(
  highest: Uint8Array,
  lowest: Uint8Array,
  columns: number,
  rows: number,
  column: number,
  row: number,
): boolean {
  const value = highest[row * columns + column];
  for (let y = Math.max(0, row - 1); y <= Math.min(rows - 1, row + 1); y++) {
    for (let x = Math.max(0, column - 1); x <= Math.min(columns - 1, column + 1); x++) {
      if (highest[y * columns + x] !== value || lowest[y * columns + x] !== value) return true;
    }
  }
  return false;
}
