import { describe, expect, test } from "vitest";
import { begin, type Document, redo, settle, step, undo } from "../src/editor/document.js";
import { type Grip, held, moveFrame } from "../src/editor/frames.js";
import {
  type Backdrop,
  type Crop,
  forOthers,
  isPlain,
  isPlainBut,
  type Looks,
  PLAIN,
} from "../src/editor/looks.js";
import { BACKGROUND_NAMES } from "../src/export/backgrounds.js";
import { randomNumbers } from "./drawing.js";

const withStroke = (now: Document, x: number): Document => ({
  ...now,
  edits: [
    ...now.edits,
    { type: "stroke", kind: "keep", dabs: [{ x, y: 0.5, r: 0.1 }], cells: null },
  ],
});

describe("the steps of a document", () => {
  test("200 edits are undone and redone one by one, each state the very same", () => {
    let history = begin();
    const states = [history.now];
    for (let n = 0; n < 200; n += 1) {
      history = step(history, withStroke(history.now, n / 200));
      states.push(history.now);
    }
    for (const state of states.toReversed()) {
      expect(history.now).toBe(state);
      history = undo(history);
    }
    expect(undo(history).now).toBe(states[0]);
    for (const state of states) {
      expect(history.now).toBe(state);
      history = redo(history);
    }
    expect(redo(history).now).toBe(states.at(-1));
    expect(history.now.edits).toHaveLength(200);
  });

  const slide = (from: Document, feather: number): Document => ({
    ...from,
    looks: { ...from.looks, feather },
  });

  test("a slider's way is one step, and its next way another", () => {
    let history = begin();
    for (const feather of [1, 2, 3])
      history = step(history, slide(history.now, feather), "feather");
    expect(undo(history).now.looks.feather).toBe(0);
    history = settle(history);
    for (const feather of [4, 5]) history = step(history, slide(history.now, feather), "feather");
    expect(undo(history).now.looks.feather).toBe(3);
  });

  test("another slider, a stroke between, or an undo ends a slider's way", () => {
    let history = step(begin(), slide(begin().now, 1), "feather");
    history = step(history, { ...history.now, looks: { ...history.now.looks, shift: 2 } }, "shift");
    expect(undo(history).now.looks).toMatchObject({ feather: 1, shift: 0 });
    history = step(history, withStroke(history.now, 0.1));
    history = step(history, slide(history.now, 2), "feather");
    expect(undo(history).now.edits).toHaveLength(1);
    const undone = undo(step(history, slide(history.now, 3), "feather"));
    expect(undo(step(undone, slide(undone.now, 9), "feather")).now).toBe(undone.now);
  });

  test("a step after an undo drops what was undone", () => {
    let history = step(begin(), withStroke(begin().now, 0.1));
    history = undo(step(history, withStroke(history.now, 0.2)));
    history = step(history, withStroke(history.now, 0.3));
    expect(redo(history)).toEqual(history);
    expect(history.now.edits.map((edit) => edit.type === "stroke" && edit.dabs[0]?.x)).toEqual([
      0.1, 0.3,
    ]);
  });

  test("to settle what is settled changes nothing", () => {
    const history = begin();
    expect(settle(history)).toBe(history);
  });
});

const ODD = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  1e300,
  -1e300,
  0,
  -0.5,
];
const GRIPS: readonly Grip[] = ["move", "topLeft", "topRight", "bottomLeft", "bottomRight"];

describe("frames", () => {
  const random = randomNumbers(3);
  const one = () =>
    random() < 0.2 ? (ODD[Math.floor(random() * ODD.length)] ?? 0) : (random() - 0.5) * 9000;
  const within = (frame: ReturnType<typeof held>, size: { width: number; height: number }) => {
    const { left, top, width, height } = frame;
    expect(Object.values(frame).every(Number.isInteger)).toBe(true);
    expect(width).toBeGreaterThanOrEqual(Math.min(16, 3 * size.width));
    expect(height).toBeGreaterThanOrEqual(Math.min(16, 3 * size.height));
    expect(width).toBeLessThanOrEqual(3 * size.width);
    expect(height).toBeLessThanOrEqual(3 * size.height);
    expect([left < size.width, top < size.height]).toEqual([true, true]);
    expect([left + width > 0, top + height > 0]).toEqual([true, true]);
  };
  const cases = Array.from({ length: 2000 }, () => ({
    frame: { left: one(), top: one(), width: one(), height: one() },
    size: { width: 1 + Math.floor(random() * 3000), height: 1 + Math.floor(random() ** 4 * 3000) },
    by: [one(), one()] as const,
    grip: GRIPS[Math.floor(random() * GRIPS.length)] ?? "move",
  }));

  test("any numbers are brought within bounds, and what is within them stays", () => {
    for (const { frame, size } of cases) {
      const kept = held(frame, size);
      within(kept, size);
      expect(held(kept, size)).toEqual(kept);
    }
  });

  test("a move by anything ends within bounds; a corner's leaves the opposite one", () => {
    for (const { frame, size, by, grip } of cases) {
      const from = held(frame, size);
      const moved = moveFrame(from, grip, ...by, size);
      within(moved, size);
      if (grip === "move") {
        expect([moved.width, moved.height]).toEqual([from.width, from.height]);
        continue;
      }
      if (grip.endsWith("Right")) expect(moved.left).toBe(from.left);
      else expect(moved.left + moved.width).toBe(from.left + from.width);
      if (grip.startsWith("bottom")) expect(moved.top).toBe(from.top);
      else expect(moved.top + moved.height).toBe(from.top + from.height);
    }
  });

  test("within bounds a frame follows the hand, half pixels and all", () => {
    const from = { left: 100, top: 80, width: 200, height: 100 };
    const size = { width: 800, height: 600 };
    expect(moveFrame(from, "move", 10.4, -20.6, size)).toEqual({ ...from, left: 110, top: 59 });
    expect(moveFrame(from, "topLeft", 0.5, 10, size)).toEqual({
      ...from,
      left: 101,
      top: 90,
      width: 199,
      height: 90,
    });
    expect(moveFrame(from, "bottomRight", 30, -500, size)).toEqual({
      ...from,
      width: 230,
      height: 16,
    });
  });
});

describe("looks", () => {
  const backdrop: Backdrop = { id: 1, name: "beach", blob: new Blob() };
  const byHand: Crop = { to: "frame", left: 1, top: 2, width: 30, height: 40 };
  const bySubject: Crop = { to: "subject", margin: 5, square: true };
  const made: readonly Partial<Looks>[] = [
    { smooth: 0.5 },
    { shift: -1 },
    { feather: 0.5 },
    { background: "blur" },
    { background: "picture", backdrop },
    { shadow: "drop" },
    { crop: byHand },
    { crop: bySubject },
  ];
  const idle: readonly Partial<Looks>[] = [
    {},
    { colour: "#ff0000" },
    { backdrop },
    { background: "picture" },
    { fit: "contain", blur: 9, match: 1, shadowOpacity: 1 },
  ];

  test.each(made)("%o needs pixels, on every background", (change) => {
    expect(isPlain({ ...PLAIN, ...change })).toBe(false);
    for (const background of BACKGROUND_NAMES) {
      const looks = { ...PLAIN, background, ...change };
      expect(isPlainBut(looks)).toBe(false);
      expect(isPlain(looks)).toBe(false);
    }
  });

  test.each(idle)("%o changes nothing", (change) => {
    expect(isPlain({ ...PLAIN, ...change })).toBe(true);
    expect(isPlainBut({ ...PLAIN, ...change })).toBe(true);
  });

  test("colours behind are no longer plain, but need no pixels", () => {
    const colours = BACKGROUND_NAMES.filter((name) => !["none", "blur", "picture"].includes(name));
    expect(colours.length).toBeGreaterThan(3);
    for (const background of colours) {
      expect(isPlain({ ...PLAIN, background })).toBe(false);
      expect(isPlainBut({ ...PLAIN, background })).toBe(true);
    }
  });

  test("for other pictures all stays but what was framed by hand", () => {
    const looks: Looks = { ...PLAIN, feather: 3, background: "picture", backdrop };
    expect(forOthers(looks)).toEqual(looks);
    expect(forOthers({ ...looks, crop: bySubject })).toEqual({ ...looks, crop: bySubject });
    expect(forOthers({ ...looks, crop: byHand })).toEqual(looks);
  });
});
