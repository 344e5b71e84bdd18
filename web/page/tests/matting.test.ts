import { describe, expect, test } from "vitest";
import { blurBackdrop } from "../src/matting/backdrop.js";
import { subjectBox } from "../src/matting/canvas.js";
import { findMove, matchColours } from "../src/matting/colourMatch.js";
import { composite, underlay } from "../src/matting/compositing.js";
import { feather, shiftEdge } from "../src/matting/edges.js";
import { estimateForeground, spreadLayers, writeForeground } from "../src/matting/foreground.js";
import type { Colours, Matte } from "../src/matting/pixels.js";
import { place } from "../src/matting/place.js";
import { refineAlpha } from "../src/matting/refine.js";
import { castShadow } from "../src/matting/shadow.js";
import { smoothAlpha } from "../src/matting/smooth.js";
import { coloursOf, disc, matteOf, same } from "./drawing.js";

const FIT = { radius: 2, epsilon: 3e-4, low: 0.2, high: 0.8, maxSide: 640 };

const OF_MATTES: Readonly<Record<string, (matte: Matte) => Matte>> = {
  "grow by 2.5": (matte) => shiftEdge(matte, 2.5),
  "shrink by 12": (matte) => shiftEdge(matte, -12),
  "feather 3": (matte) => feather(matte, 3),
  "feather 17": (matte) => feather(matte, 17),
  "smooth 1": (matte) => smoothAlpha(matte),
  "smooth 2.5": (matte) => smoothAlpha(matte, 2.5),
};

const OF_COLOURS: Readonly<Record<string, (colours: Colours, matte: Matte) => Colours>> = {
  foreground: estimateForeground,
  match: (colours, matte) => matchColours(colours, matte, [200, 10, 10], 1),
  "backdrop 0": (colours, matte) => blurBackdrop(colours, matte, 0),
  "backdrop 30": (colours, matte) => blurBackdrop(colours, matte, 30),
  composite: (colours, matte) => composite(colours, matte, [1, 2, 3]),
  underlay: (colours, matte) => underlay(colours, matte, [0, 0, 0], matte).colours,
  place: (colours, matte) =>
    place(colours, matte, { left: 0, top: 0, ...size(matte) }, matte.width, matte.height).colours,
};

function size({ width, height }: Matte) {
  return { width, height };
}

describe.each(Object.entries(OF_MATTES))("%s", (_, change) => {
  test.each([0, 128, 255])("a matte that is %i everywhere stays", (level) => {
    const matte = matteOf(150, 130, () => level);
    expect(same(change(matte), matte)).toBe(true);
  });

  test("what is far from the edge stays, and something near it changes", () => {
    const matte = matteOf(400, 90, (x) => (x < 199 ? 0 : x > 201 ? 255 : 100));
    const changed = change(matte);
    expect(
      changed.data.every((value, i) => Math.abs((i % 400) - 200) < 55 || value === matte.data[i]),
    ).toBe(true);
    expect(same(changed, matte)).toBe(false);
  });
});

describe.each([
  [1, 1],
  [1, 9],
  [700, 1],
  [2, 333],
])("a picture of %i x %i pixels", (width, height) => {
  const matte = matteOf(width, height, (x, y) => ((x + y) % 3) * 127);
  const colours = coloursOf(matte);

  test.each(Object.entries(OF_MATTES))("%s", (_, change) => {
    expect(size(change(matte))).toEqual({ width, height });
  });

  test.each(Object.entries(OF_COLOURS))("%s keeps the fourth bytes", (name, change) => {
    const changed = change(colours, matte);
    expect(changed.data).toHaveLength(colours.data.length);
    const fourth = changed.data.filter((_, i) => i % 4 === 3);
    if (name !== "place") expect(fourth).toEqual(colours.data.filter((_, i) => i % 4 === 3));
  });

  test("shadows and refining", () => {
    expect(castShadow(matte, "drop", 0.5).data).toHaveLength(matte.data.length);
    expect(castShadow(matte, "contact", 0.5).data).toHaveLength(matte.data.length);
    const small = matteOf(4, 4, (x) => 80 * x);
    expect(refineAlpha(small, colours, FIT).data).toHaveLength(matte.data.length);
  });
});

describe("without a subject", () => {
  const empty = matteOf(90, 70, () => 0);
  const colours = coloursOf(empty);

  test("there is no box and no shadow", () => {
    expect(subjectBox(empty)).toBeUndefined();
    expect(same(castShadow(empty, "contact", 1), empty)).toBe(true);
  });

  test("colours stay", () => {
    expect(same(estimateForeground(colours, empty), colours)).toBe(true);
    expect(same(matchColours(colours, empty, [0, 0, 0], 1), colours)).toBe(true);
    expect(same(blurBackdrop(colours, empty, 0), colours)).toBe(true);
  });
});

test("opaque pixels keep their colours, and a rectangle at a time gives the same", () => {
  const matte = disc(501, 333, 120, 40);
  const colours = coloursOf(matte);
  const foreground = estimateForeground(colours, matte);
  const kept = foreground.data.every(
    (value, i) => matte.data[i >> 2] !== 255 || value === colours.data[i],
  );
  expect(kept).toBe(true);
  const layers = spreadLayers(colours, matte);
  const parts = { ...colours, data: new Uint8ClampedArray(colours.data.length) };
  for (const left of [0, 100, 333]) {
    for (const top of [0, 150]) {
      writeForeground(colours, matte, layers, { left, top, width: 233, height: 183 }, parts);
    }
  }
  expect(same(parts, foreground)).toBe(true);
});

test("a subject all of one colour has it up to its very edge, whatever is behind", () => {
  const matte = disc(300, 200, 60, 6);
  const ground = { ...coloursOf(matte), data: new Uint8ClampedArray(4 * 300 * 200).fill(255) };
  const subject = { ...ground, data: ground.data.map((_, i) => [200, 40, 10, 255][i % 4] ?? 0) };
  const found = estimateForeground(composite(subject, matte, ground), matte);
  const shown = found.data.filter((_, i) => (matte.data[i >> 2] ?? 0) > 30);
  const expected = subject.data.filter((_, i) => (matte.data[i >> 2] ?? 0) > 30);
  const most = shown.reduce(
    (far, value, i) => Math.max(far, Math.abs(value - (expected[i] ?? 0))),
    0,
  );
  expect(most).toBeLessThanOrEqual(3);
});

test("the move found on a small picture is that of the large one", () => {
  const shade = (matte: Matte) => {
    const { width, height } = matte;
    const data = Uint8ClampedArray.from({ length: 4 * width * height }, (_, i) =>
      i % 4 === 0 ? (255 * (i >> 2)) / (width * height) : 90,
    );
    return { width, height, data };
  };
  const [large, small] = [disc(800, 600, 200, 8), disc(200, 150, 50, 2)];
  const moves = [large, small].map((matte) => findMove(shade(matte), matte, [90, 120, 60]));
  for (const axis of [0, 1, 2]) expect(moves[0]?.[axis]).toBeCloseTo(moves[1]?.[axis] ?? 0, 2);
});

test("specks do not widen the box", () => {
  const matte = disc(600, 500, 150, 2);
  expect(subjectBox(matte)).toEqual({ left: 150, top: 100, width: 301, height: 301 });
  matte.data[3] = 255;
  expect(subjectBox(matte)).toEqual({ left: 150, top: 100, width: 301, height: 301 });
});
