import type { Matte } from "./pixels.js";

/** The largest disc used at once; larger ones are made of several, round to 2 % either way. */
export const LARGEST_DISC = 5;

/** Half widths of the rows of a shape: of its middle row, the one next to it, and so on. */
type Shape = readonly number[];

const CROSS: Shape = [1, 0];
const SQUARE: Shape = [1, 1];

/**
 * The largest value under a disc around each pixel; outside there is nothing. The radius is 0 to
 * `LARGEST_DISC`.
 */
export function dilate(matte: Matte, radius: number): Matte {
  if (radius === 0) return matte;
  if (radius > 1) return dilateBy(matte, disc(radius));
  // Between the cross, which is too small, and the square.
  const cross = dilateBy(matte, CROSS);
  const square = dilateBySquare(matte);
  return mix(cross, square, 0.5);
}

/** The largest value among each pixel and its eight neighbours. */
export function dilateBySquare(matte: Matte): Matte {
  return dilateBy(matte, SQUARE);
}

/** So much of the other, and the rest of the one, rounded: half to even. */
export function mix(one: Matte, other: Matte, part: number): Matte {
  const { width, height } = one;
  const data = new Uint8Array(width * height);
  const mixed = new Uint8ClampedArray(data.buffer);
  for (let i = 0; i < mixed.length; i++) {
    mixed[i] = one.data[i]! * (1 - part) + other.data[i]! * part;
  }
  return { width, height, data };
}

function disc(radius: number): Shape {
  const rows = Array.from({ length: radius + 1 }, (_, y) => y);
  return rows.map((y) => Math.floor(Math.sqrt(radius * radius + 1 - y * y)));
}

/** Each row is widened step by step, and put into the rows that see it so wide. */
function dilateBy({ width, height, data }: Matte, shape: Shape): Matte {
  const result = new Uint8Array(width * height);
  const widest = Math.max(...shape);
  // Nothing to the left and to the right.
  let line = new Uint8Array(width + 2);
  let wider = new Uint8Array(width + 2);
  for (let y = 0; y < height; y++) {
    line.set(data.subarray(y * width, (y + 1) * width), 1);
    for (let half = 0; half <= widest; half++) {
      if (half > 0) {
        widenLine(line, wider, half === 1);
        [line, wider] = [wider, line];
      }
      for (let away = 0; away < shape.length; away++) {
        if (shape[away] !== half) continue;
        if (y >= away) raise(result, (y - away) * width, line);
        if (away > 0 && y + away < height) raise(result, (y + away) * width, line);
      }
    }
  }
  return { width, height, data: result };
}

/** The maximum of one pixel more on either side; from the second step on the middle is in it. */
function widenLine(line: Uint8Array, wider: Uint8Array, withMiddle: boolean): void {
  for (let x = 1; x < line.length - 1; x++) {
    const most = Math.max(line[x - 1]!, line[x + 1]!);
    wider[x] = withMiddle ? Math.max(most, line[x]!) : most;
  }
}

function raise(result: Uint8Array, first: number, line: Uint8Array): void {
  for (let x = 1, i = first; x < line.length - 1; x++, i++) {
    const value = line[x]!;
    result[i] = Math.max(value, result[i]!);
  }
}
