import { describe, expect, test } from "vitest";
import { type Dab, paint, reachOf } from "../src/matting/brush.js";
import { boundsOf, distances, piecesOf } from "../src/matting/cells.js";
import { whole } from "../src/matting/pixels.js";
import { randomNumbers } from "./drawing.js";

const chance = randomNumbers(5);
const GRIDS = [
  [1, 1, 1],
  [1, 30, 0.1],
  [40, 1, 0.1],
  [23, 17, 0.02],
  [23, 17, 0.3],
  [16, 31, 0.6],
].map(([columns = 1, rows = 1, share = 1]) => ({
  columns,
  rows,
  chosen: Uint8Array.from({ length: columns * rows }, () => (chance() < share ? 1 : 0)),
}));

const SIZE = { width: 90, height: 60 };
const LONGER = 90;

const randomDabs = (random: () => number): Dab[] =>
  Array.from({ length: 1 + Math.floor(6 * random()) }, () => ({
    x: 1.6 * random() - 0.3,
    y: 1.6 * random() - 0.3,
    r: 0.15 * random() ** 2,
  }));

describe("the brush", () => {
  const random = randomNumbers(4);
  const cases = Array.from({ length: 60 }, () => ({
    dabs: randomDabs(random),
    rim: [0, 0.2, 1][Math.floor(3 * random())] ?? 0,
  }));

  test("covers from nothing to all of a pixel, and nothing beyond its reach", () => {
    let [some, all] = [0, 0];
    for (const { dabs, rim } of cases) {
      const reach = reachOf(dabs, SIZE);
      const cover = paint(dabs, SIZE, whole(SIZE), rim);
      for (const [i, share] of cover.entries()) {
        if (!(share >= 0 && share <= 1)) expect.fail(`${share}`);
        if (share > 0 && share < 1) some += 1;
        if (share === 1) all += 1;
        const [x, y] = [i % SIZE.width, Math.floor(i / SIZE.width)];
        const isWithin =
          reach !== null &&
          x >= reach.left &&
          y >= reach.top &&
          x < reach.left + reach.width &&
          y < reach.top + reach.height;
        if (share > 0 && !isWithin) expect.fail(`${x}, ${y} is out of reach`);
      }
    }
    expect([some, all].every((count) => count > 1000)).toBe(true);
  });

  test("a part of the picture is painted as all of it", () => {
    for (const { dabs, rim } of cases) {
      const all = paint(dabs, SIZE, whole(SIZE), rim);
      const part = { left: 17, top: 9, width: 40, height: 33 };
      for (const [i, share] of paint(dabs, SIZE, part, rim).entries()) {
        const [x, y] = [17 + (i % 40), 9 + Math.floor(i / 40)];
        expect(share).toBeCloseTo(all[y * SIZE.width + x] ?? Number.NaN, 5);
      }
    }
  });

  test("a line is whole: all of it up to its rim, from the first point to the last", () => {
    for (const { dabs, rim } of cases.filter(({ dabs }) => dabs.length > 1)) {
      const cover = paint(dabs, SIZE, whole(SIZE), rim);
      for (const [n, to] of dabs.entries()) {
        const from = dabs[n - 1] ?? to;
        for (let step = 0; step <= 200; step += 1) {
          const share = step / 200;
          const at = (one: "x" | "y" | "r") => from[one] + share * (to[one] - from[one]);
          const [x, y] = [Math.floor(at("x") * 90), Math.floor(at("y") * 60)];
          const r = at("r") * LONGER;
          if (r < 2 || x < 0 || y < 0 || x >= 90 || y >= 60) continue;
          // The middle of that pixel is at most 0.71 away.
          const least = Math.min(1, (r - Math.SQRT1_2) / Math.max(1, rim * r));
          expect(cover[y * 90 + x]).toBeGreaterThanOrEqual(least - 1e-6);
        }
      }
    }
  });

  test("a dot is a disc of its radius", () => {
    const cover = paint([{ x: 0.5, y: 0.5, r: 0.2 }], SIZE, whole(SIZE), 0);
    const area = cover.reduce((sum, share) => sum + share, 0);
    expect(area / (Math.PI * 18 ** 2)).toBeCloseTo(1, 2);
    expect(reachOf([{ x: 0.5, y: 0.5, r: 0.2 }], SIZE)).toEqual({
      left: 26,
      top: 11,
      width: 38,
      height: 38,
    });
  });

  test("no points, and points beside the picture, reach nothing", () => {
    expect(reachOf([], SIZE)).toBeNull();
    expect(reachOf([{ x: 1.2, y: 0.5, r: 0.1 }], SIZE)).toBeNull();
    expect(reachOf([{ x: 0.5, y: -9, r: 0.1 }], SIZE)).toBeNull();
    expect(reachOf([{ x: 0.5, y: 0.5, r: 1e6 }], SIZE)).toEqual(whole(SIZE));
  });
});

describe("cells", () => {
  test.each(GRIDS)("$columns x $rows: distances are up to 8.3 % too far", (grid) => {
    const { columns, rows, chosen } = grid;
    const found = distances(chosen, columns, rows);
    for (const [i, distance] of found.entries()) {
      let nearest = Number.POSITIVE_INFINITY;
      for (const [j, one] of chosen.entries()) {
        if (one === 0) continue;
        const dx = (i % columns) - (j % columns);
        const dy = Math.floor(i / columns) - Math.floor(j / columns);
        nearest = Math.min(nearest, Math.hypot(dx, dy));
      }
      if (nearest === Number.POSITIVE_INFINITY) expect(distance).toBe(columns + rows);
      else {
        expect(distance).toBeGreaterThanOrEqual(nearest - 1e-4);
        expect(distance).toBeLessThanOrEqual(1.083 * nearest + 1e-4);
      }
    }
  });

  test.each(GRIDS)("$columns x $rows: pieces are what touches along sides", (grid) => {
    const { columns, rows, chosen } = grid;
    const pieces = piecesOf(chosen, columns, rows);
    // Brute force: every cell takes the least number beside it, until nothing changes.
    const least = Uint32Array.from(chosen, (one, i) => (one ? i + 1 : 0));
    for (let isDone = false; !isDone; ) {
      isDone = true;
      for (const [i, one] of least.entries()) {
        const x = i % columns;
        const beside = [x > 0 ? i - 1 : -1, x < columns - 1 ? i + 1 : -1, i - columns, i + columns];
        for (const j of one ? beside : []) {
          const other = least[j] ?? 0;
          if (other === 0 || other >= (least[i] ?? 0)) continue;
          least[i] = other;
          isDone = false;
        }
      }
    }
    const [there, back] = [new Map<number, number>(), new Map<number, number>()];
    for (const [i, piece] of pieces.entries()) {
      const expected = least[i] ?? 0;
      expect(there.get(piece) ?? expected).toBe(expected);
      expect(back.get(expected) ?? piece).toBe(piece);
      there.set(piece, expected);
      back.set(expected, piece);
    }
    expect(pieces.every((piece, i) => piece > 0 === (chosen[i] === 1))).toBe(true);
    expect(Math.max(0, ...pieces)).toBe(new Set(pieces.filter((piece) => piece > 0)).size);
  });

  test.each(GRIDS)("$columns x $rows: bounds hold every chosen cell, and no more", (grid) => {
    const { columns, rows, chosen } = grid;
    const at = [...chosen.keys()].filter((i) => chosen[i] === 1);
    if (at.length === 0) return expect(boundsOf(grid, 2)).toBeNull();
    const [xs, ys] = [at.map((i) => i % columns), at.map((i) => Math.floor(i / columns))];
    for (const margin of [0, 3, 100]) {
      const left = Math.max(0, Math.min(...xs) - margin);
      const top = Math.max(0, Math.min(...ys) - margin);
      expect(boundsOf(grid, margin)).toEqual({
        left,
        top,
        width: Math.min(columns - 1, Math.max(...xs) + margin) + 1 - left,
        height: Math.min(rows - 1, Math.max(...ys) + margin) + 1 - top,
      });
    }
  });

  test("of none there are no bounds", () => {
    expect(boundsOf({ columns: 3, rows: 2, chosen: new Uint8Array(6) }, 1)).toBeNull();
  });
});
