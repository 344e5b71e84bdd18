import { expect, test } from "vitest";
import { KEYS } from "../src/keys.js";

test("no key means two things, and every key is listed", () => {
  const pressed = KEYS.flatMap(({ press }) => press);
  expect(new Set(pressed).size).toBe(pressed.length);
  for (const key of KEYS) expect(key.keys && key.says).toBeTruthy();
});
