import type { Rectangle } from "./pixels.js";

/** Some cells of a picture that was reduced to few. */
export interface Cells {
  readonly columns: number;
  readonly rows: number;
  /** 1 for each chosen cell, 0 for others, row by row. */
  readonly chosen: Uint8Array;
}

/**
 * How far each cell is from the nearest chosen one, in cells: along sides and diagonals, so up to
 * 8.3 % too far. Columns and rows together where none is chosen.
 */
export function distances(chosen: Uint8Array, columns: number, rows: number): Float32Array {
  const far = columns + rows;
  const made = new Float32Array(chosen.length);
  for (let i = 0; i < made.length; i += 1) made[i] = chosen[i] ? 0 : far;
  const nearer = (i: number, x: number, step: -1 | 1) => {
    const beside = x + step >= 0 && x + step < columns ? made[i + step]! + 1 : far;
    const row = i + step * columns;
    if (row < 0 || row >= made.length) return Math.min(made[i]!, beside);
    const left = x > 0 ? made[row - 1]! + Math.SQRT2 : far;
    const right = x < columns - 1 ? made[row + 1]! + Math.SQRT2 : far;
    return Math.min(made[i]!, beside, made[row]! + 1, left, right);
  };
  for (let i = 0; i < made.length; i += 1) made[i] = nearer(i, i % columns, -1);
  for (let i = made.length - 1; i >= 0; i -= 1) made[i] = nearer(i, i % columns, 1);
  return made;
}

/** Number the pieces of chosen cells that touch along a side, from 1 on; 0 is not chosen. */
export function piecesOf(chosen: Uint8Array, columns: number, rows: number): Uint32Array {
  const pieces = new Uint32Array(columns * rows);
  const waiting: number[] = [];
  let count = 0;
  for (let first = 0; first < pieces.length; first += 1) {
    if (chosen[first] === 0 || pieces[first] !== 0) continue;
    count += 1;
    pieces[first] = count;
    waiting.push(first);
    for (let i = waiting.pop(); i !== undefined; i = waiting.pop()) {
      const x = i % columns;
      const beside = [x > 0 ? i - 1 : -1, x < columns - 1 ? i + 1 : -1, i - columns, i + columns];
      for (const next of beside) {
        if (chosen[next] !== 1 || pieces[next] !== 0) continue;
        pieces[next] = count;
        waiting.push(next);
      }
    }
  }
  return pieces;
}

/** The smallest rectangle with every chosen cell, and so many cells around; null without one. */
export function boundsOf({ columns, rows, chosen }: Cells, margin: number): Rectangle | null {
  let [left, top, right, bottom] = [columns, rows, -1, -1];
  for (let i = 0; i < chosen.length; i += 1) {
    if (chosen[i] === 0) continue;
    const [x, y] = [i % columns, Math.floor(i / columns)];
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = y;
  }
  if (right < 0) return null;
  left = Math.max(0, left - margin);
  top = Math.max(0, top - margin);
  const [width, height] = [
    Math.min(columns, right + 1 + margin),
    Math.min(rows, bottom + 1 + margin),
  ];
  return { left, top, width: width - left, height: height - top };
}
