// A part of a picture, which may reach beyond it.

import type { Colours, Matte, Rectangle } from "./pixels.js";

const isWhole = (rect: Rectangle, { width, height }: Matte | Colours): boolean =>
  rect.left === 0 && rect.top === 0 && rect.width === width && rect.height === height;

/** A part of a matte: nothing lies beyond. The matte itself where it is all of it. */
export function cutMatte(matte: Matte, rect: Rectangle): Matte {
  if (isWhole(rect, matte)) return matte;
  const data = new Uint8Array(rect.width * rect.height);
  const left = Math.max(0, rect.left);
  const right = Math.min(matte.width, rect.left + rect.width);
  for (let y = 0; y < rect.height && right > left; y += 1) {
    const row = rect.top + y;
    if (row < 0 || row >= matte.height) continue;
    const from = matte.data.subarray(row * matte.width + left, row * matte.width + right);
    data.set(from, y * rect.width + left - rect.left);
  }
  return { width: rect.width, height: rect.height, data };
}

/** A part of colours: the outermost go on beyond. The colours themselves where it is all of them. */
export function cutColours(colours: Colours, rect: Rectangle): Colours {
  if (isWhole(rect, colours)) return colours;
  const from = new Uint32Array(
    colours.data.buffer,
    colours.data.byteOffset,
    colours.width * colours.height,
  );
  const to = new Uint32Array(rect.width * rect.height);
  for (let y = 0, i = 0; y < rect.height; y += 1) {
    const row = colours.width * Math.min(colours.height - 1, Math.max(0, rect.top + y));
    for (let x = 0; x < rect.width; x += 1, i += 1) {
      to[i] = from[row + Math.min(colours.width - 1, Math.max(0, rect.left + x))]!;
    }
  }
  return { width: rect.width, height: rect.height, data: new Uint8ClampedArray(to.buffer) };
}

/** Colours and opacity as one picture, straight; what is fully transparent is 0, and leaks nothing. */
export function straighten(colours: Colours, matte: Matte): Colours {
  const from = new Uint32Array(colours.data.buffer, colours.data.byteOffset, matte.data.length);
  const to = new Uint32Array(matte.data.length);
  const [first] = new Uint8Array(Uint32Array.of(0xff000000).buffer);
  const shift = first === 0 ? 24 : 0; // where the fourth byte lies in a number of this machine
  const mask = first === 0 ? 0x00ffffff : 0xffffff00;
  for (let i = 0; i < to.length; i += 1) {
    const alpha = matte.data[i]!;
    to[i] = alpha === 0 ? 0 : (from[i]! & mask) | (alpha << shift);
  }
  return { width: matte.width, height: matte.height, data: new Uint8ClampedArray(to.buffer) };
}

/** A matte as a picture: white where the subject is, on black. */
export function maskOf({ width, height, data }: Matte): Colours {
  const made = new Uint8ClampedArray(4 * data.length);
  for (let i = 0; i < data.length; i += 1) made.fill(data[i]!, 4 * i, 4 * i + 3);
  return opaque({ width, height, data: made });
}

/** Make colours opaque, in place. */
export function opaque(colours: Colours): Colours {
  for (let i = 3; i < colours.data.length; i += 4) colours.data[i] = 255;
  return colours;
}
