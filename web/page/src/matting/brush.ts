import type { Rectangle } from "./pixels.js";

/** A point of a stroke: where, in shares of width and height, and half the brush's width there, in shares of the longer side. */
export interface Dab {
  readonly x: number;
  readonly y: number;
  readonly r: number;
}

/** Of the whole picture, in pixels. */
interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * How much a stroke covers of each pixel of a rectangle, 0 to 1.
 *
 * @param rim how much of the radius its soft rim takes, 0 to 1; at least a pixel.
 */
export function paint(
  dabs: readonly Dab[],
  { width, height }: Size,
  rect: Rectangle,
  rim: number,
): Float32Array {
  const cover = new Float32Array(rect.width * rect.height);
  const longer = Math.max(width, height);
  const points = dabs.map(({ x, y, r }) => ({
    x: x * width - rect.left,
    y: y * height - rect.top,
    r: r * longer,
  }));
  for (const [i, to] of points.entries()) {
    paintPart(cover, rect, points[Math.max(0, i - 1)] ?? to, to, rim);
  }
  return cover;
}

// From one point to the next; the brush changes its width evenly on the way.
function paintPart(cover: Float32Array, rect: Rectangle, from: Dab, to: Dab, rim: number): void {
  const reach = Math.max(from.r, to.r) + 1;
  const left = Math.max(0, Math.floor(Math.min(from.x, to.x) - reach));
  const right = Math.min(rect.width, Math.ceil(Math.max(from.x, to.x) + reach));
  const top = Math.max(0, Math.floor(Math.min(from.y, to.y) - reach));
  const bottom = Math.min(rect.height, Math.ceil(Math.max(from.y, to.y) + reach));
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const perLength = 1 / Math.max(1e-9, dx * dx + dy * dy);
  for (let row = top; row < bottom; row += 1) {
    const y = row + 0.5 - from.y;
    for (let column = left; column < right; column += 1) {
      const x = column + 0.5 - from.x;
      const along = Math.min(1, Math.max(0, (x * dx + y * dy) * perLength));
      const r = from.r + along * (to.r - from.r);
      const [awayX, awayY] = [x - along * dx, y - along * dy];
      const distance = Math.sqrt(awayX * awayX + awayY * awayY);
      const share = (r - distance) / Math.max(1, rim * r) + (rim > 0 ? 0 : 0.5);
      const at = row * rect.width + column;
      if (share > cover[at]!) cover[at] = Math.min(1, share);
    }
  }
}

/** The pixels that a stroke can touch; null where that is none of the picture. */
export function reachOf(dabs: readonly Dab[], { width, height }: Size): Rectangle | null {
  const longer = Math.max(width, height);
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (const { x, y, r } of dabs) {
    left = Math.min(left, Math.floor(x * width - r * longer) - 1);
    right = Math.max(right, Math.ceil(x * width + r * longer) + 1);
    top = Math.min(top, Math.floor(y * height - r * longer) - 1);
    bottom = Math.max(bottom, Math.ceil(y * height + r * longer) + 1);
  }
  [left, top] = [Math.max(0, left), Math.max(0, top)];
  [right, bottom] = [Math.min(width, right), Math.min(height, bottom)];
  return right > left && bottom > top
    ? { left, top, width: right - left, height: bottom - top }
    : null;
}
