// Strokes and parts that were looked at again -> what they make of a matte, at any size.

import { type Dab, paint, reachOf } from "./brush.js";
import { boundsOf, type Cells, distances } from "./cells.js";
import type { Colours, Matte, Rectangle } from "./pixels.js";
import { refineAlpha } from "./refine.js";
import { shrinkByArea } from "./resample.js";
import { type Kind, type Sketch, sketchSize } from "./strokes.js";

/** What becomes of a part of a matte. */
export interface Change {
  readonly rect: Rectangle;
  /** The new values, row by row. */
  readonly data: Uint8Array<ArrayBuffer>;
}

/** How much of the brush is its soft rim, where it follows no edge. */
const RIM = 0.2;
/** How far around a change the new matte counts, in cells: as far as its refinement sees. */
const MARGIN = 5;
/** Cells have hard edges; this finds the soft ones. */
const REFINEMENT = { radius: 2, epsilon: 3e-4, low: 0.2, high: 0.8, maxSide: 400 };
/** A part that was looked at again counts fully from this share of its sides on. */
const BORDER = 0.08;

/** A picture's colours, reduced to what strokes are followed on. */
export function coloursOf(source: Colours): Omit<Sketch, "alpha"> {
  const { columns, rows } = sketchSize(source);
  return { columns, rows, colours: shrinkByArea({ ...source, channels: 4 }, columns, rows) };
}

/** The matte of the same. */
export function alphaOf(matte: Matte): Float32Array {
  const { columns, rows } = sketchSize(matte);
  return shrinkByArea({ ...matte, channels: 1 }, columns, rows);
}

/** Both, for one stroke. */
export const sketchOf = (source: Colours, matte: Matte): Sketch => ({
  ...coloursOf(source),
  alpha: alphaOf(matte),
});

/** Keep or remove what lies under a stroke, and nothing else. */
export function paintOver(matte: Matte, kind: Kind, dabs: readonly Dab[]): Change | null {
  const rect = reachOf(dabs, matte);
  if (!rect) return null;
  const cover = paint(dabs, matte, rect, RIM);
  const data = cut(matte, rect);
  const there = kind === "keep" ? 255 : 0;
  for (let i = 0; i < data.length; i += 1) {
    data[i] = Math.round(data[i]! + (there - data[i]!) * cover[i]!);
  }
  return { rect, data };
}

/** Keep or remove cells that were found by `followStroke`, with the edges that the picture has. */
export function bringOver(matte: Matte, source: Colours, kind: Kind, cells: Cells): Change | null {
  const bounds = boundsOf(cells, 3 * MARGIN);
  if (!bounds) return null;
  const rect = pixelsOf(bounds, cells, matte);
  const data = cut(matte, rect);
  const size = { width: bounds.width, height: bounds.height };
  const chosen = new Uint8Array(size.width * size.height);
  for (let y = 0; y < size.height; y += 1) {
    const from = (bounds.top + y) * cells.columns + bounds.left;
    chosen.set(cells.chosen.subarray(from, from + size.width), y * size.width);
  }
  const small = shrinkByArea({ ...rect, channels: 1, data }, size.width, size.height);
  const there = kind === "keep" ? 255 : 0;
  const coarse = Uint8Array.from(small, (value, i) => (chosen[i] ? there : Math.round(value)));
  const drawn = refineAlpha({ ...size, data: coarse }, cutColours(source, rect), REFINEMENT);
  const further = kind === "keep" ? Math.max : Math.min; // never against the stroke
  for (let i = 0; i < data.length; i += 1) drawn.data[i] = further(drawn.data[i]!, data[i]!);
  const distance = distances(chosen, size.width, size.height);
  const near = distance.map((one) => Math.min(1, Math.max(0, 2 - one / MARGIN)));
  mix(data, drawn.data, rect, (x, y) => sample(near, size, rect, x, y));
  return { rect, data };
}

/** Put in what the network said of a part of the picture; its border is blended. */
export function patchIn(matte: Matte, rect: Rectangle, again: Matte): Change | null {
  if (rect.width < 1 || rect.height < 1) return null;
  const data = cut(matte, rect);
  const made = new Uint8Array(data.length);
  for (let y = 0, i = 0; y < rect.height; y += 1) {
    for (let x = 0; x < rect.width; x += 1, i += 1) {
      made[i] = Math.round(sample(again.data, again, rect, x, y));
    }
  }
  const reach = Math.max(1, BORDER * Math.min(rect.width, rect.height));
  const left = rect.left > 0 ? 0 : reach; // at the picture's own border nothing is blended
  const top = rect.top > 0 ? 0 : reach;
  const right = rect.left + rect.width < matte.width ? 0 : reach;
  const bottom = rect.top + rect.height < matte.height ? 0 : reach;
  mix(data, made, rect, (x, y) => {
    const across = Math.min(x + 0.5 + left, rect.width - x - 0.5 + right);
    const down = Math.min(y + 0.5 + top, rect.height - y - 0.5 + bottom);
    return Math.min(1, across / reach, down / reach);
  });
  return { rect, data };
}

// `share` says how much of the new one counts at a pixel of the rectangle.
function mix(
  data: Uint8Array,
  made: Uint8Array,
  { width, height }: Rectangle,
  share: (x: number, y: number) => number,
): void {
  for (let y = 0, i = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, i += 1) {
      if (made[i] === data[i]) continue;
      data[i] = Math.round(data[i]! + (made[i]! - data[i]!) * share(x, y));
    }
  }
}

/** Interpolate values that lie over a rectangle at one of its pixels. */
function sample(
  values: ArrayLike<number>,
  size: { width: number; height: number },
  rect: { width: number; height: number },
  x: number,
  y: number,
): number {
  const across = ((x + 0.5) * size.width) / rect.width - 0.5;
  const down = ((y + 0.5) * size.height) / rect.height - 0.5;
  const left = Math.min(size.width - 1, Math.max(0, Math.floor(across)));
  const top = Math.min(size.height - 1, Math.max(0, Math.floor(down)));
  const right = Math.min(size.width - 1, left + 1);
  const bottom = Math.min(size.height - 1, top + 1);
  const fx = Math.min(1, Math.max(0, across - left));
  const fy = Math.min(1, Math.max(0, down - top));
  const upper =
    values[top * size.width + left]! * (1 - fx) + values[top * size.width + right]! * fx;
  const lower =
    values[bottom * size.width + left]! * (1 - fx) + values[bottom * size.width + right]! * fx;
  return upper * (1 - fy) + lower * fy;
}

/** A copy of a rectangle of a matte. */
export function cut({ width, data }: Matte, rect: Rectangle): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(rect.width * rect.height);
  for (let y = 0; y < rect.height; y += 1) {
    const from = (rect.top + y) * width + rect.left;
    made.set(data.subarray(from, from + rect.width), y * rect.width);
  }
  return made;
}

/** Put a rectangle into a matte. */
export function putIn({ width, data }: Matte, rect: Rectangle, part: Uint8Array): void {
  for (let y = 0; y < rect.height; y += 1) {
    const row = part.subarray(y * rect.width, (y + 1) * rect.width);
    data.set(row, (rect.top + y) * width + rect.left);
  }
}

function cutColours({ width, data }: Colours, rect: Rectangle): Colours {
  const made = new Uint8ClampedArray(4 * rect.width * rect.height);
  for (let y = 0; y < rect.height; y += 1) {
    const from = 4 * ((rect.top + y) * width + rect.left);
    made.set(data.subarray(from, from + 4 * rect.width), 4 * y * rect.width);
  }
  return { width: rect.width, height: rect.height, data: made };
}

function pixelsOf(cells: Rectangle, of: Cells, { width, height }: Matte): Rectangle {
  const left = Math.round((cells.left * width) / of.columns);
  const top = Math.round((cells.top * height) / of.rows);
  const right = Math.round(((cells.left + cells.width) * width) / of.columns);
  const bottom = Math.round(((cells.top + cells.height) * height) / of.rows);
  return { left, top, width: right - left, height: bottom - top };
}

/** A rectangle at another size of the picture, within it. */
export function scaled(
  rect: Rectangle,
  scale: number,
  of: { width: number; height: number },
): Rectangle {
  const left = Math.max(0, Math.round(rect.left * scale));
  const top = Math.max(0, Math.round(rect.top * scale));
  const right = Math.min(of.width, Math.round((rect.left + rect.width) * scale));
  const bottom = Math.min(of.height, Math.round((rect.top + rect.height) * scale));
  return { left, top, width: right - left, height: bottom - top };
}

/** Take over colours where the matte is as it was, and not 0, from a picture of the same size. */
export function keepOwn(from: Colours, before: Matte, matte: Matte, to: Colours): void {
  const own = wholePixels(from);
  const made = wholePixels(to);
  for (let i = 0; i < made.length; i += 1) {
    const value = matte.data[i]!;
    if (value === before.data[i] && value !== 0) made[i] = own[i]!;
  }
}

const wholePixels = ({ data }: Colours): Uint32Array =>
  new Uint32Array(data.buffer, data.byteOffset, data.length / 4);
