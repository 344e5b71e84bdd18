// Pictures to try things on.

import type { Colour, Colours, Matte } from "../src/matting/pixels.js";

interface Size {
  readonly width: number;
  readonly height: number;
}

export function matteOf(
  width: number,
  height: number,
  at: (x: number, y: number) => number,
): Matte {
  const data = Uint8Array.from({ length: width * height }, (_, i) =>
    at(i % width, Math.floor(i / width)),
  );
  return { width, height, data };
}

/** Every colour another one; the fourth bytes are no opacity. */
export function coloursOf({ width, height }: Size): Colours {
  const data = Uint8ClampedArray.from({ length: 4 * width * height }, (_, i) => (i * 37) % 251);
  return { width, height, data };
}

/** A disc with an edge that is `soft` pixels wide. */
export function disc(width: number, height: number, radius: number, soft: number): Matte {
  return matteOf(width, height, (x, y) => {
    const distance = Math.hypot(x - width / 2, y - height / 2);
    return Math.round(255 * Math.min(1, Math.max(0, (radius - distance) / soft + 0.5)));
  });
}

/** A subject of one colour before another one, noise on both; always the same. */
export function twoColours(matte: Matte, subject: Colour, behind: Colour, noise: number): Colours {
  const random = randomNumbers(1);
  const data = new Uint8ClampedArray(4 * matte.data.length);
  for (const [i, value] of matte.data.entries()) {
    for (const c of [0, 1, 2] as const) {
      const mixed = (value * subject[c] + (255 - value) * behind[c]) / 255;
      data[4 * i + c] = mixed + noise * (2 * random() - 1);
    }
    data[4 * i + 3] = 255;
  }
  return { width: matte.width, height: matte.height, data };
}

/** `toEqual` takes seconds for large arrays. */
export function same(one: Matte | Colours, other: Matte | Colours): boolean {
  return (
    one.data.length === other.data.length && one.data.every((value, i) => value === other.data[i])
  );
}

/** Numbers from 0 to below 1, the same ones for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
