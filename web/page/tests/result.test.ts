import { expect, test } from "vitest";
import { cssOf, stopsOf } from "../src/export/backgrounds.js";
import { fileNameOf, fileNamesOf } from "../src/export/result.js";

const PNG = { type: "image/png", what: "picture" } as const;

test.each([
  ["cat.jpg", "cat-cutout.png"],
  ["holiday.in.rome.jpeg", "holiday.in.rome-cutout.png"],
  ["no ending", "no ending-cutout.png"],
  ["../../etc/passwd", "_.._etc_passwd-cutout.png"],
  ["..\\..\\evil.png", "_.._evil-cutout.png"],
  ["a\u202egnp.exe", "a_gnp-cutout.png"],
  ["<img src=x onerror=alert(1)>.png", "_img src=x onerror=alert(1)_-cutout.png"],
  ["\u0000\n.png", "__-cutout.png"],
  [".png", "picture-cutout.png"],
  ["猫.jpg", "猫-cutout.png"],
  [`${"x".repeat(5000)}.jpg`, `${"x".repeat(100)}-cutout.png`],
])("%j becomes a safe name", (name, safe) => {
  expect(fileNameOf(name, PNG)).toBe(safe);
});

test("no two files of a ZIP have the same name, on any system", () => {
  expect(fileNamesOf(["a.jpg", "a.png", "A.webp"], PNG)).toEqual([
    "a-cutout.png",
    "a-cutout-2.png",
    "A-cutout-3.png",
  ]);
});

test("the view and the file get the same colours", () => {
  expect(stopsOf("none", "#123456")).toEqual([]);
  expect(cssOf("none", "#123456")).toBeUndefined();
  expect(cssOf("colour", "#123456")).toBe("#123456");
  expect(cssOf("gradient1", "")).toBe("linear-gradient(to bottom, #fafafa, #b9bec5)");
});
