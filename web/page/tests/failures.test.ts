import { RemovalError } from "birefnet-background-removal/client";
import { beforeAll, expect, test } from "vitest";
import { explain, nameFormats, RULES } from "../src/queue/failures.js";
import { fittingSize } from "../src/queue/shrink.js";

beforeAll(() => {
  Object.assign(globalThis, { location: { host: "localhost:55433" } });
});

test("every failure says something, names no empty slot, and offers a way out", () => {
  for (const code of Object.keys(RULES)) {
    const failure = explain(new RemovalError(code, 400, {}));
    expect(failure.text, code).not.toMatch(/[{}]|undefined|null/);
    expect(failure.cures.length, code).toBeGreaterThan(0);
  }
});

test("numbers of the service reach the person", () => {
  const sizes = { file_size_mb: 12.34, max_size_mb: 10 };
  expect(explain(new RemovalError("FILE_TOO_LARGE", 413, sizes)).text).toContain("12.4 MB");
  const formats = { received_format: "image/jpeg", supported_formats: ["JPEG", "PNG"] };
  expect(explain(new RemovalError("INVALID_FORMAT", 400, formats)).text).toBe(
    "The service does not take this kind of file. It takes JPEG, PNG.",
  );
  const heic = { ...formats, received_format: "image/heic" };
  expect(explain(new RemovalError("INVALID_FORMAT", 400, heic)).text).toContain("HEIC");
});

test("media types have the names that people know", () => {
  const media = ["image/jpeg", "image/jpg", "image/x-ms-bmp", "image/bmp", "image/webp"];
  expect(nameFormats([...media, "application/zip"])).toBe("JPEG, BMP, WebP");
});

test("a picture of any shape is made to fit, and never grows", () => {
  const limits = { max_long_side: 7680, max_short_side: 4320, max_pixels: 50e6 };
  const sizes = [
    [8064, 6048],
    [40000, 100],
    [4320, 7680],
    [100, 100],
  ] as const;
  for (const [width, height] of sizes) {
    const [w, h] = fittingSize(width, height, limits as never);
    expect(Math.max(w, h)).toBeLessThanOrEqual(7680);
    expect(Math.min(w, h)).toBeLessThanOrEqual(4320);
    expect(w <= width && h <= height).toBe(true);
  }
  expect(fittingSize(8064, 6048, limits as never)).toEqual([5760, 4320]);
});
