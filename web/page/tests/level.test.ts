import { describe, expect, test } from "vitest";
import type { Edit, Patch, Stroke } from "../src/editor/document.js";
import { Level, type Pixels } from "../src/editor/level.js";
import type { Dab } from "../src/matting/brush.js";
import { estimateForeground } from "../src/matting/foreground.js";
import { copyColours, type Matte, type Rectangle } from "../src/matting/pixels.js";
import type { Kind } from "../src/matting/strokes.js";
import { disc, matteOf, randomNumbers, same, twoColours } from "./drawing.js";

const [WIDTH, HEIGHT] = [150, 110];
/** What is kept holds about three of the edits below. */
const LITTLE = 20_000;

/** The service's answer: a disc, cut out of two colours, each soft pixel its own colour. */
function pixelsOf(matte: Matte): Pixels {
  const source = twoColours(matte, [210, 60, 30], [30, 90, 160], 20);
  const cutout = estimateForeground(source, matte);
  for (const [i, value] of matte.data.entries())
    if (value === 0) cutout.data.fill(0, 4 * i, 4 * i + 4);
  return { source, opacity: null, cutout, matte };
}

const PIXELS = pixelsOf(disc(WIDTH, HEIGHT, 35, 6));

const stroke = (kind: Kind, dabs: readonly Dab[], cells: Stroke["cells"] = null): Stroke => ({
  type: "stroke",
  kind,
  dabs,
  cells,
});

function randomEdit(random: () => number): Edit {
  const dabs = Array.from({ length: 1 + Math.floor(3 * random()) }, () => ({
    x: 0.2 + 0.6 * random(),
    y: 0.2 + 0.6 * random(),
    r: 0.01 + 0.05 * random(),
  }));
  const kind = random() < 0.5 ? "keep" : "remove";
  const what = random();
  if (what < 0.5) return stroke(kind, dabs);
  if (what < 0.8) return stroke(kind, dabs, new Level(PIXELS, WIDTH).follow(kind, dabs));
  const [width, height] = [20 + Math.floor(60 * random()), 20 + Math.floor(50 * random())];
  const rect = {
    left: Math.floor((WIDTH - width) * random()),
    top: Math.floor((HEIGHT - height) * random()),
    width,
    height,
  };
  return { type: "patch", rect, matte: disc(width, height, 18, 8) };
}

function expectAsFresh(level: Level, edits: readonly Edit[], reach = 0): void {
  const fresh = new Level(PIXELS, WIDTH);
  fresh.apply(edits);
  fresh.spread(reach);
  expect(same(level.matte, fresh.matte)).toBe(true);
  expect(shownDiffer(level, fresh, reach)).toBe(0);
}

/** Colours under a matte of 0 mean nothing, unless the edge is moved there. */
function shownDiffer(one: Level, other: Level, reach: number): number {
  let count = 0;
  for (const [i, value] of one.colours.data.entries()) {
    const isShown = reach > 0 || (one.matte.data[i >> 2] ?? 0) > 0;
    if (isShown && i % 4 < 3 && value !== other.colours.data[i]) count += 1;
  }
  return count;
}

describe.each([
  ["all that is needed", undefined],
  ["little", LITTLE],
  ["nothing", 0],
])("where %s is kept to go back", (_, mostKept) => {
  test.each([1, 2])("any way to some edits leads to the same (%i)", (seed) => {
    const random = randomNumbers(seed);
    const level = new Level(PIXELS, WIDTH, mostKept);
    let edits: Edit[] = [];
    for (let n = 0; n < 9; n += 1) {
      const keep = Math.floor(random() * (edits.length + 1));
      const isExchanged = random() < 0.4;
      const added = Array.from({ length: 1 + Math.floor(2 * random()) }, () => randomEdit(random));
      edits = [...(isExchanged ? edits.slice(0, keep) : edits), ...added];
      level.apply(edits);
      if (n % 2 === 0) expectAsFresh(level, edits);
    }
    expectAsFresh(level, edits);
    // One out of the middle, then backwards, then none.
    level.apply(edits.toSpliced(1, 1));
    expectAsFresh(level, edits.toSpliced(1, 1));
    for (let n = edits.length; n >= 0; n -= 1) {
      level.apply(edits.slice(0, n));
      if (n % 3 === 0) expectAsFresh(level, edits.slice(0, n));
    }
    expect(same(level.matte, PIXELS.matte)).toBe(true);
  });
});

test("an edge that is moved finds the same colours, whenever it was asked for", () => {
  const random = randomNumbers(9);
  const edits = Array.from({ length: 6 }, () => randomEdit(random));
  const level = new Level(PIXELS, WIDTH);
  level.apply(edits.slice(0, 3));
  level.spread(12);
  expectAsFresh(level, edits.slice(0, 3), 12);
  level.apply(edits);
  expectAsFresh(level, edits, 12);
  level.apply(edits.slice(0, 2));
  expectAsFresh(level, edits.slice(0, 2), 12);
  level.spread(5); // less is no other state
  expectAsFresh(level, edits.slice(0, 2), 12);
});

test("far enough out, an edge that is moved has the subject's colour", () => {
  const matte = disc(900, 700, 100, 4);
  const pixels = pixelsOf(matte);
  const level = new Level(pixels, 900);
  const at = 4 * (350 * 900 + 450 + 100 + 80); // 80 pixels right of the edge
  level.spread(100);
  expect(Math.abs((level.colours.data[at] ?? 0) - 210)).toBeLessThan(25);
  expect(Math.abs((level.colours.data[at + 2] ?? 0) - 30)).toBeLessThan(25);
});

test("what is given is never written to", () => {
  const before = { matte: PIXELS.matte.data.slice(), cutout: copyColours(PIXELS.cutout) };
  const level = new Level(PIXELS, WIDTH);
  level.apply([stroke("keep", [{ x: 0.2, y: 0.2, r: 0.1 }])]);
  level.spread(20);
  level.colours;
  expect(PIXELS.matte.data).toEqual(before.matte);
  expect(same(PIXELS.cutout, before.cutout)).toBe(true);
});

test("without edits the cutout's own colours are shown", () => {
  const level = new Level(PIXELS, WIDTH);
  expect(same(level.colours, PIXELS.cutout)).toBe(true);
  level.apply([]);
  expect(same(level.colours, PIXELS.cutout)).toBe(true);
});

test("a keep stroke brings back the source's colours, to the last bit where it is opaque", () => {
  const level = new Level(PIXELS, WIDTH);
  level.apply([
    stroke("keep", [
      { x: 0.1, y: 0.1, r: 0.05 },
      { x: 0.5, y: 0.3, r: 0.05 },
    ]),
  ]);
  let brought = 0;
  for (const [i, value] of level.matte.data.entries()) {
    if (value !== 255 || PIXELS.matte.data[i] === 255) continue;
    brought += 1;
    for (const c of [0, 1, 2]) {
      expect(level.colours.data[4 * i + c]).toBe(PIXELS.source.data[4 * i + c]);
    }
  }
  expect(brought).toBeGreaterThan(500);
});

const outside = (rect: Rectangle) => (i: number) => {
  const [x, y] = [(i % WIDTH) - rect.left, Math.floor(i / WIDTH) - rect.top];
  return x < 0 || y < 0 || x >= rect.width || y >= rect.height;
};

test("pixels outside of an edit stay, matte and colours", () => {
  const patch: Patch = {
    type: "patch",
    rect: { left: 40, top: 20, width: 60, height: 50 },
    matte: matteOf(30, 25, () => 200),
  };
  const brush = { left: 30, top: 33, width: 61, height: 16 }; // of radius 6 from 38 to 83, at 40.7
  const line = [
    { x: 0.25, y: 0.37, r: 0.04 },
    { x: 0.55, y: 0.37, r: 0.04 },
  ];
  const cells = new Level(PIXELS, WIDTH).follow("remove", line);
  // Followed up to 0.16 of the longer side, and drawn with the edge around that.
  const around = { left: 38 - 24 - 22, top: 40 - 24 - 22, width: 45 + 92, height: 92 };
  for (const [edit, rect] of [
    [patch, patch.rect],
    [stroke("remove", line), brush],
    [stroke("remove", line, cells), around],
  ] as const) {
    const level = new Level(PIXELS, WIDTH);
    level.apply([edit]);
    const isOutside = outside(rect);
    const changed = level.matte.data.filter((value, i) => value !== PIXELS.matte.data[i]);
    expect(changed.length).toBeGreaterThan(100);
    for (const [i, value] of PIXELS.matte.data.entries()) {
      if (!isOutside(i)) continue;
      if (level.matte.data[i] !== value) expect.fail(`the matte changed at ${i}`);
      if (value === 0) continue;
      for (const c of [0, 1, 2]) {
        if (level.colours.data[4 * i + c] !== PIXELS.cutout.data[4 * i + c])
          expect.fail(`a colour changed at ${i}`);
      }
    }
  }
});

describe("strokes that are hardly any", () => {
  test.each<[string, readonly Dab[]]>([
    [
      "beside the picture",
      [
        { x: -3, y: 0.5, r: 0.1 },
        { x: -2, y: 0.5, r: 0.1 },
      ],
    ],
    ["far below it", [{ x: 0.5, y: 1e9, r: 0.1 }]],
    [
      "of size 0",
      [
        { x: 0.2, y: 0.2, r: 0 },
        { x: 0.8, y: 0.8, r: 0 },
      ],
    ],
    ["without a point", []],
    ["at no place", [{ x: Number.NaN, y: 0.5, r: 0.1 }]],
  ])("one %s changes nothing", (_, dabs) => {
    const level = new Level(PIXELS, WIDTH);
    level.apply([stroke("keep", dabs), stroke("remove", dabs)]);
    expect(same(level.matte, PIXELS.matte)).toBe(true);
    expectAsFresh(level, []);
  });

  test("one beside the picture follows nothing", () => {
    const cells = new Level(PIXELS, WIDTH).follow("keep", [{ x: -3, y: 0.5, r: 0.1 }]);
    const level = new Level(PIXELS, WIDTH);
    level.apply([stroke("keep", [], cells)]);
    expect(cells.chosen.includes(1)).toBe(false);
    expect(same(level.matte, PIXELS.matte)).toBe(true);
  });

  test("one of a single point is a dot", () => {
    const level = new Level(PIXELS, WIDTH);
    level.apply([stroke("keep", [{ x: 0.1, y: 0.15, r: 0.04 }])]);
    const more = level.matte.data.filter((value, i) => value > (PIXELS.matte.data[i] ?? 0));
    expect(more.length).toBeGreaterThan(90);
    expect(more.length).toBeLessThan(Math.PI * 7 ** 2);
  });

  test("one of thousands of points is as its line", () => {
    const along = (count: number) =>
      Array.from({ length: count }, (_, i) => ({
        x: 0.1 + (0.8 * i) / (count - 1),
        y: 0.3,
        r: 0.03,
      }));
    const [few, many] = [new Level(PIXELS, WIDTH), new Level(PIXELS, WIDTH)];
    few.apply([stroke("keep", along(2))]);
    many.apply([stroke("keep", along(5000))]);
    const apart = few.matte.data.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - (many.matte.data[i] ?? 0))),
      0,
    );
    expect(apart).toBeLessThanOrEqual(1);
  });
});

describe.each([
  [1, 1],
  [3, 2000],
  [2000, 3],
])("a picture of %i x %i pixels", (width, height) => {
  const pixels = pixelsOf(matteOf(width, height, (x, y) => ((x + y) % 500 < 250 ? 255 : 0)));
  const dabs = [
    { x: 0.1, y: 0.1, r: 0.05 },
    { x: 0.9, y: 0.9, r: 0.05 },
  ];

  test.each<Kind>(["keep", "remove"])("%s strokes and patches end, and can be undone", (kind) => {
    const level = new Level(pixels, width);
    const cells = level.follow(kind, dabs);
    expect(cells.columns * cells.rows).toBe(cells.chosen.length);
    const rect = { left: 0, top: 0, width, height };
    level.apply([
      stroke(kind, dabs),
      stroke(kind, dabs, cells),
      { type: "patch", rect, matte: matteOf(4, 4, () => 99) },
    ]);
    expect(level.matte.data.every((value) => value === 99)).toBe(true);
    level.spread(40);
    expect(level.colours.data).toHaveLength(4 * width * height);
    level.apply([]);
    expect(same(level.matte, pixels.matte)).toBe(true);
  });

  test("a stroke over all of it keeps all of it", () => {
    const level = new Level(pixels, width);
    level.apply([stroke("keep", [{ x: 0.5, y: 0.5, r: 6000 }])]);
    expect(level.matte.data.every((value) => value === 255)).toBe(true);
  });
});
