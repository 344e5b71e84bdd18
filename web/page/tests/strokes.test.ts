import { describe, expect, test } from "vitest";
import type { Dab } from "../src/matting/brush.js";
import type { Colours, Matte } from "../src/matting/pixels.js";
import { bringOver, putIn, sketchOf } from "../src/matting/retouch.js";
import { followStroke, type Kind, sketchSize } from "../src/matting/strokes.js";
import { matteOf, same, twoColours } from "./drawing.js";

const [WIDTH, HEIGHT] = [320, 240];
const SUBJECT = [200, 60, 40] as const;
const BEHIND = [60, 110, 170] as const;

/** A body with a head on it; apart from both a ball, and beyond the reach of a stroke another one. */
const TRUTH = matteOf(WIDTH, HEIGHT, (x, y) =>
  (x >= 60 && x < 160 && y >= 110) ||
  Math.hypot(x - 110, y - 80) < 32 ||
  Math.hypot(x - 162, y - 72) < 10 ||
  Math.hypot(x - 270, y - 80) < 25
    ? 255
    : 0,
);
const SOURCE = twoColours(TRUTH, SUBJECT, BEHIND, 25);

const isHead = (x: number, y: number) => Math.hypot(x - 110, y - 80) < 36 && y < 110;
const isApart = (x: number, y: number) => x > 148 && y < 105;

/** The network has lost the head and the balls. */
const LOST = matteOf(WIDTH, HEIGHT, (x, y) =>
  isHead(x, y) || isApart(x, y) ? 0 : (TRUTH.data[y * WIDTH + x] ?? 0),
);
/** The network has taken a piece of what is behind for the subject. */
const KEPT = matteOf(WIDTH, HEIGHT, (x, y) =>
  x >= 160 && x < 200 && y > 130 && y < 190 ? 255 : (TRUTH.data[y * WIDTH + x] ?? 0),
);

const line = (x: number, y: number, dx: number, r = 0.012): Dab[] => [
  { x: (x - dx) / WIDTH, y: y / HEIGHT, r },
  { x: (x + dx) / WIDTH, y: y / HEIGHT, r },
];
const ON_HEAD = line(110, 78, 12);
const ON_PIECE = line(185, 160, 7);

function draw(matte: Matte, source: Colours, kind: Kind, dabs: readonly Dab[]): Matte {
  const cells = followStroke(sketchOf(source, matte), kind, dabs);
  const change = bringOver(matte, source, kind, cells);
  const drawn = { ...matte, data: matte.data.slice() };
  if (change) putIn(drawn, change.rect, change.data);
  return drawn;
}

/** Share of some pixels that are on the wrong side. */
function wrong(matte: Matte, where: (x: number, y: number) => boolean): number {
  let [count, off] = [0, 0];
  for (const [i, value] of matte.data.entries()) {
    if (!where(i % WIDTH, Math.floor(i / WIDTH))) continue;
    count += 1;
    if (value >= 128 !== (TRUTH.data[i] ?? 0) >= 128) off += 1;
  }
  return off / count;
}

const near = (matte: Matte) => (x: number, y: number) =>
  [-3, 0, 3].some((dx) =>
    [-3, 0, 3].some((dy) => matte.data[(y + dy) * WIDTH + x + dx] !== matte.data[y * WIDTH + x]),
  );

test("the sketch has the picture's colours, each in its place", () => {
  const sketch = sketchOf(twoColours(TRUTH, SUBJECT, BEHIND, 0), TRUTH);
  expect(sketch.colours).toHaveLength(4 * sketch.columns * sketch.rows);
  for (const [x, y, colour] of [
    [110, 80, SUBJECT],
    [110, 230, SUBJECT],
    [10, 10, BEHIND],
    [310, 235, BEHIND],
  ] as const) {
    const column = Math.floor((x * sketch.columns) / WIDTH);
    const at = Math.floor((y * sketch.rows) / HEIGHT) * sketch.columns + column;
    expect([...sketch.colours.subarray(4 * at, 4 * at + 3)]).toEqual([...colour]);
    expect(sketch.alpha[at]).toBe(colour === SUBJECT ? 255 : 0);
  }
});

test.each([
  [1, 1, 1, 1],
  [3, 2000, 1, 256],
  [4000, 3000, 256, 192],
  [100, 80, 100, 80],
])("a picture of %i x %i is looked at as %i x %i cells", (width, height, columns, rows) => {
  expect(sketchSize({ width, height })).toEqual({ columns, rows });
});

describe("a keep stroke on a lost piece", () => {
  const drawn = draw(LOST, SOURCE, "keep", ON_HEAD);

  test("brings back all of that piece", () => {
    expect(wrong(LOST, isHead)).toBeGreaterThan(0.5);
    expect(wrong(drawn, (x, y) => isHead(x, y) && !near(TRUTH)(x, y))).toBe(0);
    expect(wrong(drawn, isHead)).toBeLessThan(0.02);
  });

  test("and nothing of the other colour", () => {
    const behind = (x: number, y: number) => TRUTH.data[y * WIDTH + x] === 0;
    expect(wrong(drawn, (x, y) => behind(x, y) && !near(TRUTH)(x, y))).toBe(0);
  });

  test("and nothing that is apart, though it is of the same colour", () => {
    for (const [i, value] of drawn.data.entries()) {
      if (isApart(i % WIDTH, Math.floor(i / WIDTH)) && value > 0) expect.fail(`${i}: ${value}`);
    }
  });

  test("twice gives the same to the bit", () => {
    expect(same(draw(LOST, SOURCE, "keep", ON_HEAD), drawn)).toBe(true);
    const cells = followStroke(sketchOf(SOURCE, LOST), "keep", ON_HEAD);
    expect(followStroke(sketchOf(SOURCE, LOST), "keep", ON_HEAD)).toEqual(cells);
  });

  test("again finds that all of it is there", () => {
    const more = draw(drawn, SOURCE, "keep", ON_HEAD);
    const apart = more.data.filter((value, i) => Math.abs(value - (drawn.data[i] ?? 0)) > 64);
    expect(apart.length).toBeLessThan(40);
  });
});

test("a remove stroke takes away all of a kept piece, and nothing of the subject", () => {
  const drawn = draw(KEPT, SOURCE, "remove", ON_PIECE);
  const isPiece = (x: number, y: number) => x >= 160 && x < 204 && y > 126 && y < 194;
  expect(wrong(KEPT, isPiece)).toBeGreaterThan(0.5);
  expect(wrong(drawn, (x, y) => isPiece(x, y) && x > 163)).toBe(0);
  expect(wrong(drawn, (x, y) => !near(TRUTH)(x, y))).toBe(0);
});

describe("a stroke changes in its direction only", () => {
  /** An edge that is softer than its refinement would draw it. */
  const soft = matteOf(WIDTH, HEIGHT, (x, y) =>
    Math.round(255 * Math.min(1, Math.max(0, 0.5 + (60 - Math.hypot(x - 160, y - 120)) / 24))),
  );
  const source = twoColours(soft, SUBJECT, BEHIND, 25);

  test.each([
    ["inside", line(160, 120, 20)],
    ["across the edge", line(215, 120, 25)],
    ["outside", line(270, 60, 15)],
    ["wide", line(160, 60, 60, 0.1)],
  ])("%s", (_, dabs) => {
    const kept = draw(soft, source, "keep", dabs);
    expect(kept.data.every((value, i) => value >= (soft.data[i] ?? 0))).toBe(true);
    const removed = draw(soft, source, "remove", dabs);
    expect(removed.data.every((value, i) => value <= (soft.data[i] ?? 0))).toBe(true);
    for (const kind of ["keep", "remove"] as const) {
      const sketch = sketchOf(source, soft);
      const there = kind === "keep" ? 255 : 0;
      const { chosen } = followStroke(sketch, kind, dabs);
      expect(chosen.every((one, i) => one === 0 || sketch.alpha[i] !== there)).toBe(true);
    }
  });
});

describe("how far a stroke reaches", () => {
  // A beam across the picture, of which all but the beginning is lost.
  const isBeam = (y: number) => y >= 60 && y < 140;
  const beam = matteOf(256, 200, (_, y) => (isBeam(y) ? 255 : 0));
  const begun = matteOf(256, 200, (x, y) => (isBeam(y) && x < 60 ? 255 : 0));
  const sketch = sketchOf(twoColours(beam, SUBJECT, BEHIND, 10), begun);
  const { columns } = sketch;

  test("is 0.16 of the longer side, here 41 cells", () => {
    const { chosen } = followStroke(sketch, "keep", [{ x: 75 / 256, y: 0.5, r: 5 / 256 }]);
    const farthest = chosen.reduce((most, one, i) => {
      const [x, y] = [(i % columns) + 0.5, Math.floor(i / columns) + 0.5];
      return one ? Math.max(most, Math.hypot(x - 75, y - 100) - 5) : most;
    }, 0);
    expect(farthest).toBeLessThanOrEqual(42);
    expect(farthest).toBeGreaterThan(32); // at its very end the other side counts
  });

  test("what lies under it is of its side whatever it looks like", () => {
    const { chosen } = followStroke(sketch, "keep", [{ x: 0.5, y: 0.1, r: 5 / 256 }]);
    for (let i = 0; i < chosen.length; i += 1) {
      const [x, y] = [(i % columns) + 0.5, Math.floor(i / columns) + 0.5];
      if (Math.hypot(x - 128, y - 20) < 4.5) expect(chosen[i]).toBe(1);
    }
  });

  test("one as thin as a hair takes at least the cells that it goes through", () => {
    const thin = followStroke(sketch, "keep", [
      { x: 0.3, y: 0.1, r: 0 },
      { x: 0.6, y: 0.1, r: 0 },
    ]);
    const isThrough = (x: number) => [19, 20].some((y) => thin.chosen[y * columns + x] === 1);
    expect(Array.from({ length: 76 }, (_, i) => 77 + i).every(isThrough)).toBe(true);
  });
});
