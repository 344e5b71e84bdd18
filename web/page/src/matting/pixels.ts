// The pictures all of this works on: plain arrays, so that a page, a worker and Node can run it.
// Loops read them within their bounds, which the compiler cannot see: hence the `!` in this folder.

/** One value per pixel, 0 to 255, row by row. */
export interface Matte {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Four bytes per pixel, as `ImageData` has them. The fourth is not looked at, and stays. */
export interface Colours {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [number, number, number];

/** Whole pixels. */
export interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

export function makeMatte({ width, height }: Size): Matte {
  return { width, height, data: new Uint8Array(width * height) };
}

export function copyMatte({ width, height, data }: Matte): Matte {
  return { width, height, data: data.slice() };
}

export function copyColours({ width, height, data }: Colours): Colours {
  return { width, height, data: data.slice() };
}

export function whole({ width, height }: Size): Rectangle {
  return { left: 0, top: 0, width, height };
}

/** What lies in both; its width or height is 0 where there is nothing. */
export function overlap(one: Rectangle, other: Rectangle): Rectangle {
  const left = Math.max(one.left, other.left);
  const top = Math.max(one.top, other.top);
  const right = Math.min(one.left + one.width, other.left + other.width);
  const bottom = Math.min(one.top + one.height, other.top + other.height);
  return { left, top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
}

/** A rectangle with so many pixels more on each side, as far as the picture goes. */
export function widen({ left, top, width, height }: Rectangle, by: number, size: Size): Rectangle {
  const wide = { left: left - by, top: top - by, width: width + 2 * by, height: height + 2 * by };
  return overlap(wide, whole(size));
}

/** The bytes of a matte, which round what is put into them and hold it within 0 to 255. */
export function rounding({ data }: Matte): Uint8ClampedArray<ArrayBuffer> {
  return new Uint8ClampedArray(data.buffer, data.byteOffset, data.length);
}
