import { expect, test } from "vitest";
import {
  centre,
  fit,
  inView,
  move,
  toPicture,
  toStage,
  zoomAt,
  zoomStep,
} from "../src/view/geometry.js";

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

test("a point of the stage and of the picture are the same, there and back", () => {
  const place = {
    placement: { scale: 0.7, x: -120, y: 33 },
    area: { left: 210, top: -50 },
    size: WIDE,
  };
  const at = { x: 415, y: 87 };
  const back = toStage(place, toPicture(place, at));
  expect(back.x).toBeCloseTo(at.x);
  expect(back.y).toBeCloseTo(at.y);
  expect(toPicture(place, { x: -120, y: 33 })).toEqual({ x: 210 / 1600, y: -50 / 400 });
});

test("what is in view is the part of the picture on the stage, and no more", () => {
  const area = { left: 0, top: 0 };
  const whole = { placement: fit(STAGE, WIDE), area, size: WIDE };
  expect(inView(whole, STAGE)).toEqual({
    part: { left: 0, top: 0, width: 1600, height: 400 },
    share: 1,
  });
  const near = { placement: { scale: 2, x: -400, y: 100 }, area, size: WIDE };
  expect(inView(near, STAGE)).toEqual({
    part: { left: 200, top: 0, width: 400, height: 250 },
    share: 0.25,
  });
  // A part of the picture is shown, from 300 on.
  expect(inView({ ...near, area: { left: 300, top: 100 } }, STAGE)?.part).toEqual({
    left: 500,
    top: 50,
    width: 400,
    height: 300,
  });
  expect(inView({ ...near, placement: { scale: 2, x: 900, y: 0 } }, STAGE)).toBeNull();
});

test("room is left around a picture where it is asked for", () => {
  expect(fit(STAGE, WIDE, 40)).toEqual({ scale: 0.45, x: 40, y: 210 });
  expect(fit({ width: 10, height: 10 }, WIDE, 40).scale).toBeGreaterThan(0);
});
