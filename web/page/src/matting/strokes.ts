/**
 * What a stroke says of a matte: of the cells under it, and of those around that look like them.
 *
 * Source of the second: Grady, "Multilabel random walker image segmentation using prior models"
 * (2005); the prior is how often a colour is found on either side. Keeping what hangs together with
 * the stroke, and changing in its direction only, are our own, as in the service.
 */
import { type Dab, paint } from "./brush.js";
import { type Cells, distances, piecesOf } from "./cells.js";

export type Kind = "keep" | "remove";

/** Longest side of the picture that is looked at, in cells. */
const SIDE = 256;
/** How far around a stroke anything may change, as a share of the longer side. */
const REACH = 0.16;
/** How far around that the colours of either side are learnt, in cells. */
const CONTEXT = 64;
/** How much a cell's own colour counts against its neighbours. */
const PRIOR = 0.02;
const ROUNDS = 24;
const OVERRELAXATION = 1.8;
/** A colour that was not seen on a side is there this often. */
const UNSEEN = 1e-5;
const MOST_CERTAIN = 4;
/** Each channel is counted in so many classes, as a power of two. */
const BITS = 4;

/** The size of the reduced picture. */
export function sketchSize({ width, height }: { width: number; height: number }) {
  const scale = Math.min(1, SIDE / Math.max(width, height));
  return {
    columns: Math.max(1, Math.round(width * scale)),
    rows: Math.max(1, Math.round(height * scale)),
  };
}

/** A picture and its matte, reduced to cells. */
export interface Sketch {
  readonly columns: number;
  readonly rows: number;
  /** Red, green, blue, 0 to 255, and a fourth value of each cell. */
  readonly colours: Float32Array;
  /** 0 to 255. */
  readonly alpha: Float32Array;
}

/**
 * The cells that a stroke brings to its side.
 *
 * @param dabs in shares of the picture.
 * @returns 1 for each of them; the cells that are there already are not among them.
 */
export function followStroke(sketch: Sketch, kind: Kind, dabs: readonly Dab[]): Cells {
  const { columns, rows, alpha } = sketch;
  const painted = paintedCells(dabs, columns, rows);
  const chosen = new Uint8Array(columns * rows);
  const found = { columns, rows, chosen };
  if (!painted.includes(1)) return found;
  const side = sideOf(alpha, kind, painted);
  const reach = Math.max(1, Math.round(REACH * Math.max(columns, rows)));
  const distance = distances(painted, columns, rows);
  const likeness = learn(sketch, side, (i) => distance[i]! <= reach + CONTEXT);
  const isFree = (i: number) => distance[i]! <= reach && painted[i] === 0;
  const share = relax(sketch, side, likeness, isFree);
  for (let i = 0; i < chosen.length; i += 1) {
    const isAlike = painted[i] === 1 || (isFree(i) && side[i] === 0 && share[i]! >= 0.5);
    chosen[i] = isAlike ? 1 : 0;
  }
  keepTouching(found, painted);
  const there = kind === "keep" ? 255 : 0;
  for (let i = 0; i < chosen.length; i += 1) if (alpha[i] === there) chosen[i] = 0;
  return found;
}

// At least the cells that the line goes through.
function paintedCells(dabs: readonly Dab[], columns: number, rows: number): Uint8Array {
  const least = 0.5 / Math.max(columns, rows);
  const wide = dabs.map(({ x, y, r }) => ({ x, y, r: Math.max(r, least) }));
  const all = { left: 0, top: 0, width: columns, height: rows };
  const cover = paint(wide, all, all, 0);
  const painted = new Uint8Array(cover.length);
  for (let i = 0; i < cover.length; i += 1) painted[i] = cover[i]! >= 0.5 ? 1 : 0;
  return painted;
}

// 1 for each cell that is on the stroke's side before anything is asked.
function sideOf(alpha: Float32Array, kind: Kind, painted: Uint8Array): Uint8Array {
  const side = new Uint8Array(alpha.length);
  for (let i = 0; i < alpha.length; i += 1) {
    side[i] = painted[i] === 1 || alpha[i]! >= 128 === (kind === "keep") ? 1 : 0;
  }
  return side;
}

/** How much likelier each cell's colour is on the stroke's side than on the other, 0 to 1. */
function learn(
  { colours }: Sketch,
  side: Uint8Array,
  isSeen: (i: number) => boolean,
): Float32Array {
  const ours = new Float32Array(1 << (3 * BITS));
  const others = new Float32Array(1 << (3 * BITS));
  const classes = new Uint16Array(side.length);
  for (let i = 0; i < side.length; i += 1) {
    classes[i] = classOf(colours, i);
    if (isSeen(i)) (side[i] === 1 ? ours : others)[classes[i]!]! += 1;
  }
  const [here, there] = [shared(ours), shared(others)];
  const odds = here.map((share, one) => {
    const apart = Math.log((share + UNSEEN) / (there[one]! + UNSEEN));
    return 1 / (1 + Math.exp(-Math.max(-MOST_CERTAIN, Math.min(MOST_CERTAIN, apart))));
  });
  const likeness = new Float32Array(classes.length);
  for (let i = 0; i < classes.length; i += 1) likeness[i] = odds[classes[i]!]!;
  return likeness;
}

function classOf(colours: Float32Array, i: number): number {
  const drop = 8 - BITS;
  const [red, green, blue] = [colours[4 * i]!, colours[4 * i + 1]!, colours[4 * i + 2]!];
  return ((red >> drop) << (2 * BITS)) | ((green >> drop) << BITS) | (blue >> drop);
}

// Neighbouring classes share what was counted, [1 2 1] / 4 along each channel; then to a sum of 1.
function shared(counts: Float32Array): Float32Array {
  let from = counts;
  const last = (1 << BITS) - 1;
  for (const shift of [0, BITS, 2 * BITS]) {
    const to = new Float32Array(from.length);
    const step = 1 << shift;
    for (let i = 0; i < from.length; i += 1) {
      const at = (i >> shift) & last;
      const before = at > 0 ? from[i - step]! : 0;
      const after = at < last ? from[i + step]! : 0;
      to[i] = (before + 2 * from[i]! + after) / 4;
    }
    from = to;
  }
  const sum = from.reduce((total, one) => total + one, 0);
  return sum > 0 ? from.map((one) => one / sum) : from;
}

/**
 * How much each cell is of the stroke's side, 0 to 1: like its neighbours where their colours are
 * alike, and a little as its own colour says.
 */
function relax(
  sketch: Sketch,
  side: Uint8Array,
  likeness: Float32Array,
  isFree: (i: number) => boolean,
): Float32Array {
  const { columns } = sketch;
  const free: number[] = [];
  const pad = columns + 1; // so that every cell has eight neighbours in the array
  const share = new Float32Array(side.length + 2 * pad);
  for (let i = 0; i < side.length; i += 1) {
    share[i + pad] = isFree(i) ? likeness[i]! : side[i]!;
    if (isFree(i)) free.push(i);
  }
  const steps = Int32Array.from(DX, (dx, k) => DY[k]! * columns + dx);
  const weights = weighNeighbours(sketch, free);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let n = 0; n < free.length; n += 1) {
      const at = free[n]! + pad;
      let sum = weights[9 * n + 8]! * likeness[free[n]!]!;
      for (let k = 0; k < 8; k += 1) sum += weights[9 * n + k]! * share[at + steps[k]!]!;
      share[at] = share[at]! + OVERRELAXATION * (sum - share[at]!);
    }
  }
  return share.subarray(pad, pad + side.length);
}

const DX = Int8Array.of(-1, 0, 1, -1, 1, -1, 0, 1);
const DY = Int8Array.of(-1, -1, -1, 0, 0, 1, 1, 1);

/** What each of some cells' eight neighbours and its own colour count, to a sum of 1. */
function weighNeighbours(sketch: Sketch, cells: readonly number[]): Float32Array {
  const { colours, columns, rows } = sketch;
  const perDifference = 1 / (2 * usualDifference(sketch) + 1e-6);
  const weights = new Float32Array(9 * cells.length);
  for (let n = 0; n < cells.length; n += 1) {
    const i = cells[n]!;
    const x = i % columns;
    const y = (i - x) / columns;
    let total = PRIOR;
    for (let k = 0; k < 8; k += 1) {
      const [dx, dy] = [DX[k]!, DY[k]!];
      if (x + dx < 0 || x + dx >= columns || y + dy < 0 || y + dy >= rows) continue;
      const apart = difference(colours, i, i + dy * columns + dx);
      const near = dx !== 0 && dy !== 0 ? Math.SQRT1_2 : 1;
      weights[9 * n + k] = near * Math.exp(-perDifference * apart);
      total += weights[9 * n + k]!;
    }
    weights[9 * n + 8] = PRIOR;
    for (let k = 0; k < 9; k += 1) weights[9 * n + k] = weights[9 * n + k]! / total;
  }
  return weights;
}

// The mean over neighbours, squared.
function usualDifference({ colours, columns, rows }: Sketch): number {
  let sum = 0;
  for (let i = 0; i < columns * (rows - 1); i += 1) sum += difference(colours, i, i + columns);
  for (let i = 0; i < columns * rows - 1; i += 1) sum += difference(colours, i, i + 1);
  return sum / Math.max(1, 2 * columns * rows);
}

function difference(colours: Float32Array, i: number, j: number): number {
  const red = colours[4 * i]! - colours[4 * j]!;
  const green = colours[4 * i + 1]! - colours[4 * j + 1]!;
  const blue = colours[4 * i + 2]! - colours[4 * j + 2]!;
  return red * red + green * green + blue * blue;
}

function keepTouching({ columns, rows, chosen }: Cells, painted: Uint8Array): void {
  const pieces = piecesOf(chosen, columns, rows);
  const touching = new Set<number>();
  for (let i = 0; i < painted.length; i += 1) if (painted[i] === 1) touching.add(pieces[i]!);
  for (let i = 0; i < chosen.length; i += 1) if (!touching.has(pieces[i]!)) chosen[i] = 0;
}
