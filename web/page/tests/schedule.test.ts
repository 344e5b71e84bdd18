import { expect, test } from "vitest";
import { begin } from "../src/editor/document.js";
import { chooseNext, secondsAtLimit } from "../src/queue/schedule.js";
import type { Picture, Stage } from "../src/store.js";

const NOW = 1_000_000;

function picture(id: number, stage: Stage, notBefore = 0): Picture {
  const file = new File([], "a.png");
  const rest = { sourceUrl: "", thumbUrl: null, sent: 0, tries: 0, failure: null, cutout: null };
  const history = begin();
  return { id, history, name: "a.png", file, stage, notBefore, ...rest };
}

test("two are under way at once, in the order of the list", () => {
  const [first, second, third] = [picture(1, "queued"), picture(2, "queued"), picture(3, "queued")];
  expect(chooseNext([first, second], NOW, 0, 3)).toEqual({ send: first });
  expect(chooseNext([picture(1, "working"), second, third], NOW, 0, null)).toEqual({
    send: second,
  });
  const full = [picture(1, "working"), picture(2, "uploading"), third];
  expect(chooseNext(full, NOW, 0, null)).toBeNull();
});

test("a service that takes one at a time gets one at a time", () => {
  expect(chooseNext([picture(1, "working"), picture(2, "queued")], NOW, 0, 1)).toBeNull();
});

test("nothing is sent while the limit of the service holds", () => {
  const until = NOW + 500;
  expect(chooseNext([picture(1, "queued")], NOW, until, 3)).toEqual({ waitUntil: until });
  expect(chooseNext([picture(1, "queued")], until, until, 3)).toHaveProperty("send");
});

test("one that waits for its next try lets the others pass, and is waited for when alone", () => {
  const later = picture(1, "queued", NOW + 900);
  const ready = picture(2, "queued");
  expect(chooseNext([later, ready], NOW, 0, 3)).toEqual({ send: ready });
  expect(chooseNext([later], NOW, 0, 3)).toEqual({ waitUntil: NOW + 900 });
  expect(chooseNext([picture(1, "done"), picture(2, "failed")], NOW, 0, 3)).toBeNull();
});

test("a hundred pictures at thirty a minute take more than three minutes", () => {
  expect(secondsAtLimit(100, 30)).toBe(198);
  expect(secondsAtLimit(100, null)).toBe(0);
});
