import { expect, test } from "vitest";
import { KEYS, nameOf } from "../src/keys.js";

test("no key means two things, and every key is listed", () => {
  const pressed = KEYS.flatMap(({ press }) => press);
  expect(new Set(pressed).size).toBe(pressed.length);
  for (const key of KEYS) expect(key.keys && key.says).toBeTruthy();
});

test("a bracket is one, also where AltGr brings it, which some systems call Ctrl and Alt", () => {
  const pressed = (key: string, ...held: string[]) =>
    nameOf({
      key,
      ctrlKey: held.includes("Control"),
      altKey: held.includes("Alt"),
      shiftKey: held.includes("Shift"),
      metaKey: false,
      getModifierState: (name: string) => held.includes(name),
    } as KeyboardEvent);
  expect(pressed("[", "Control", "Alt", "AltGraph")).toBe("[");
  expect(pressed("[", "Control")).toBe("Ctrl+[");
  expect(pressed("Z", "Control", "Shift")).toBe("Ctrl+Shift+z");
});
