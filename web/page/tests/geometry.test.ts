import { expect, test } from "vitest";
import { centre, fit, move, zoomAt, zoomStep } from "../src/view/geometry.js";

const STAGE = { width: 800, height: 600 };
const WIDE = { width: 1600, height: 400 };

test("a picture is shown whole, and in the middle", () => {
  expect(fit(STAGE, WIDE)).toEqual({ scale: 0.5, x: 0, y: 200 });
});

test("a small one is not blown up beyond twice its size", () => {
  expect(fit(STAGE, { width: 10, height: 10 })).toEqual({ scale: 2, x: 390, y: 290 });
});

test("what is under the pointer stays there while zooming", () => {
  const from = { scale: 0.5, x: 10, y: 20 };
  const at = { x: 300, y: 200 };
  const to = zoomAt(from, 2, at);
  const under = (p: typeof from) => [(at.x - p.x) / p.scale, (at.y - p.y) / p.scale];
  expect(under(to)).toEqual(under(from));
});

test("zooming in and out again comes back, and ends somewhere", () => {
  const from = fit(STAGE, WIDE);
  const back = zoomStep(zoomStep(from, 1, STAGE), -1, STAGE);
  expect(back.scale).toBeCloseTo(from.scale);
  expect(zoomAt(from, 1e9, { x: 0, y: 0 }).scale).toBe(16);
});

test("a picture cannot be moved out of sight", () => {
  const at = centre(STAGE, WIDE, 1);
  expect(move(at, 1e6, -1e6, STAGE, WIDE)).toEqual({ scale: 1, x: 760, y: -360 });
});
