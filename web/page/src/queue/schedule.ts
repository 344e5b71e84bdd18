import type { Picture, Stage } from "../store.js";

const UNDER_WAY: readonly Stage[] = ["shrinking", "uploading", "working"];
/** One is sent while the one before is worked on. */
const AT_ONCE = 2;

/** What to do next: send a picture, wait until a time, or nothing. */
export type Next = { send: Picture } | { waitUntil: number } | null;

/**
 * Choose the next picture.
 *
 * @param pictures The list, in order.
 * @param now By `Date.now()`.
 * @param pausedUntil Nothing is sent before.
 * @param limit Requests that the service takes at once from one caller; null for any.
 */
export function chooseNext(
  pictures: readonly Picture[],
  now: number,
  pausedUntil: number,
  limit: number | null,
): Next {
  const underWay = pictures.filter((one) => UNDER_WAY.includes(one.stage)).length;
  const queued = pictures.filter((one) => one.stage === "queued");
  if (queued.length === 0 || underWay >= Math.min(AT_ONCE, limit ?? AT_ONCE)) return null;
  if (pausedUntil > now) return { waitUntil: pausedUntil };
  const ready = queued.find((one) => one.notBefore <= now);
  if (ready) return { send: ready };
  return { waitUntil: Math.min(...queued.map((one) => one.notBefore)) };
}

/** Seconds that so many pictures take at a limit per minute, beyond the pause there is now. */
export const secondsAtLimit = (queued: number, perMinute: number | null): number =>
  perMinute ? (Math.max(0, queued - 1) / perMinute) * 60 : 0;
