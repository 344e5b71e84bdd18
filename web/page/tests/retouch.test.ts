import { describe, expect, test } from "vitest";
import { cutColours, cutMatte, maskOf, straighten } from "../src/matting/cutting.js";
import { type Matte, type Rectangle, whole } from "../src/matting/pixels.js";
import { cut, keepOwn, paintOver, patchIn, putIn, scaled } from "../src/matting/retouch.js";
import { coloursOf, matteOf, randomNumbers, same } from "./drawing.js";

const [WIDTH, HEIGHT] = [60, 40];
const MATTE = matteOf(WIDTH, HEIGHT, (x, y) => (x * 7 + y * 13) % 256);
const COLOURS = coloursOf(MATTE);

/** Within the picture, at its border, around it, and beside it. */
const PARTS: readonly Rectangle[] = [
  { left: 5, top: 6, width: 20, height: 10 },
  { left: -8, top: -3, width: 20, height: 10 },
  { left: 50, top: 35, width: 30, height: 30 },
  { left: -10, top: -10, width: 90, height: 70 },
  { left: 70, top: 5, width: 4, height: 4 },
  { left: 5, top: -20, width: 7, height: 6 },
  { left: 59, top: 39, width: 1, height: 1 },
];

describe("a part of a picture", () => {
  test.each(PARTS)("%o: nothing lies beyond, and the outermost colours go on", (part) => {
    const [matte, colours] = [cutMatte(MATTE, part), cutColours(COLOURS, part)];
    expect([matte.width, matte.height]).toEqual([part.width, part.height]);
    expect([colours.width, colours.height]).toEqual([part.width, part.height]);
    for (let y = 0; y < part.height; y += 1) {
      for (let x = 0; x < part.width; x += 1) {
        const [fromX, fromY] = [part.left + x, part.top + y];
        const nearX = Math.min(WIDTH - 1, Math.max(0, fromX));
        const nearY = Math.min(HEIGHT - 1, Math.max(0, fromY));
        const isWithin = nearX === fromX && nearY === fromY;
        const [at, near] = [y * part.width + x, nearY * WIDTH + nearX];
        if (matte.data[at] !== (isWithin ? MATTE.data[near] : 0)) expect.fail(`matte, ${x}, ${y}`);
        for (let c = 0; c < 4; c += 1) {
          if (colours.data[4 * at + c] !== COLOURS.data[4 * near + c])
            expect.fail(`colours, ${x}, ${y}`);
        }
      }
    }
  });

  test("all of it is the same one", () => {
    expect(cutMatte(MATTE, whole(MATTE))).toBe(MATTE);
    expect(cutColours(COLOURS, whole(MATTE))).toBe(COLOURS);
  });

  test("what was cut out can be put back", () => {
    const part = { left: 7, top: 30, width: 53, height: 10 };
    const other = matteOf(WIDTH, HEIGHT, () => 1);
    putIn(other, part, cut(MATTE, part));
    expect(other.data.every((value, i) => value === (inside(part)(i) ? MATTE.data[i] : 1))).toBe(
      true,
    );
  });

  test("at another size it stays within the picture, and neighbours still touch", () => {
    const random = randomNumbers(6);
    for (let n = 0; n < 300; n += 1) {
      const of = {
        width: 1 + Math.floor(500 * random()),
        height: 1 + Math.floor(500 * random()),
      };
      const scale = 0.05 + random();
      const [x, y] = [of.width / scale, of.height / scale];
      const split = Math.floor(x * random());
      const height = Math.ceil(y);
      const left = scaled({ left: 0, top: 0, width: split, height }, scale, of);
      const right = scaled({ left: split, top: 0, width: Math.ceil(x) - split, height }, scale, of);
      expect(left.width).toBe(right.left);
      expect(right.left + right.width).toBe(of.width);
      expect(right.top + right.height).toBe(of.height);
    }
  });
});

const inside = (part: Rectangle) => (i: number) => {
  const [x, y] = [i % WIDTH, Math.floor(i / WIDTH)];
  return (
    x >= part.left && x < part.left + part.width && y >= part.top && y < part.top + part.height
  );
};

test("a cutout has nothing where it is transparent, and its colours elsewhere", () => {
  const made = straighten(COLOURS, MATTE);
  for (const [i, value] of MATTE.data.entries()) {
    const expected =
      value === 0 ? [0, 0, 0, 0] : [...COLOURS.data.subarray(4 * i, 4 * i + 3), value];
    expect([...made.data.subarray(4 * i, 4 * i + 4)]).toEqual(expected);
  }
});

test("a mask is grey and opaque", () => {
  for (const [i, value] of maskOf(MATTE).data.entries()) {
    if (value !== (i % 4 === 3 ? 255 : MATTE.data[i >> 2])) expect.fail(`${i}`);
  }
});

test("own colours are taken over where the matte is as it was, and shows something", () => {
  const changed: Matte = { ...MATTE, data: MATTE.data.map((value, i) => (i % 3 ? value : 255)) };
  const to = { ...COLOURS, data: new Uint8ClampedArray(COLOURS.data.length).fill(9) };
  keepOwn(COLOURS, MATTE, changed, to);
  for (const [i, value] of changed.data.entries()) {
    const isOwn = value !== 0 && value === MATTE.data[i];
    expect(to.data[4 * i]).toBe(isOwn ? COLOURS.data[4 * i] : 9);
  }
});

describe("a part that was looked at again", () => {
  const dark = matteOf(100, 80, () => 40);
  const bright = matteOf(25, 20, () => 200);
  const put = (rect: Rectangle) => {
    const change = patchIn(dark, rect, bright);
    if (!change) throw new Error("nothing of it is within");
    expect(change.rect).toEqual(rect);
    return (x: number, y: number) => change.data[y * rect.width + x] ?? Number.NaN;
  };

  test("counts fully in its middle, and is blended at borders within the picture", () => {
    const at = put({ left: 10, top: 10, width: 60, height: 50 });
    expect(at(30, 25)).toBe(200);
    // 8 % of 50 pixels are 4: an eighth at the first pixel's middle, and so on.
    const ramp = [60, 100, 140, 180, 200, 200];
    expect(ramp.map((_, i) => at(i, 25))).toEqual(ramp);
    expect(ramp.map((_, i) => at(59 - i, 25))).toEqual(ramp);
    expect(ramp.map((_, i) => at(30, i))).toEqual(ramp);
    expect(ramp.map((_, i) => at(30, 49 - i))).toEqual(ramp);
    expect(at(0, 2)).toBe(60);
  });

  test.each([
    [0, 0, [200, 60, 200, 60]],
    [40, 30, [60, 200, 60, 200]],
    [0, 30, [200, 60, 60, 200]],
  ] as const)("is not blended at the picture's own border (%i, %i)", (left, top, expected) => {
    const at = put({ left, top, width: 60, height: 50 });
    expect([at(0, 25), at(59, 25), at(30, 0), at(30, 49)]).toEqual(expected);
  });

  test("that is all of the picture takes its place", () => {
    const at = put(whole(dark));
    for (const [x, y] of [
      [0, 0],
      [99, 0],
      [0, 79],
      [50, 40],
    ] as const)
      expect(at(x, y)).toBe(200);
  });

  test("lies where it was seen", () => {
    const seen = matteOf(30, 25, (x) => (x < 15 ? 0 : 255));
    const black = matteOf(100, 80, () => 0);
    const change = patchIn(black, { left: 20, top: 15, width: 60, height: 50 }, seen);
    const row = change?.data.subarray(25 * 60, 26 * 60) ?? new Uint8Array();
    expect([...row.subarray(27, 33)]).toEqual([0, 0, 64, 191, 255, 255]);
  });

  test("without a pixel is none", () => {
    expect(patchIn(dark, { left: 3, top: 3, width: 0, height: 9 }, bright)).toBeNull();
  });
});

test.each([
  ["keep", 255],
  ["remove", 0],
] as const)("what lies under a %s stroke is %i, and only its rim is soft", (kind, there) => {
  const grey = matteOf(100, 80, () => 128);
  const change = paintOver(grey, kind, [{ x: 0.5, y: 0.5, r: 0.2 }]);
  expect(change?.rect).toEqual({ left: 29, top: 19, width: 42, height: 42 });
  for (const [i, value] of change?.data.entries() ?? []) {
    const distance = Math.hypot(29 + (i % 42) + 0.5 - 50, 19 + Math.floor(i / 42) + 0.5 - 40);
    if (distance < 16) expect(value).toBe(there);
    else if (distance > 20) expect(value).toBe(128);
    else expect(Math.abs(value - there)).toBeLessThanOrEqual(128);
  }
});

test("nothing is changed by a stroke beside the picture", () => {
  expect(paintOver(MATTE, "keep", [{ x: 3, y: 0, r: 0.1 }])).toBeNull();
  expect(
    same(
      MATTE,
      matteOf(WIDTH, HEIGHT, (x, y) => (x * 7 + y * 13) % 256),
    ),
  ).toBe(true);
});
