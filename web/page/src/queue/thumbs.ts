import { find, get, page, update } from "../store.js";

const LONG_SIDE = 144;
const PATIENCE_MS = 3000;
let last: Promise<void> = Promise.resolve();

/**
 * Make the small picture of the list, one after the other, and not before the open picture is on the
 * screen: decoding takes the processors that it, and often the service, need.
 */
export function makeThumb(id: number, blob: Blob): void {
  const until = Date.now() + PATIENCE_MS;
  last = last
    .then(() => openIsShown(until))
    .then(() => show(id, blob))
    .catch(() => undefined);
}

/** Resolves once the open picture is drawn or has failed, or at a time by `Date.now()`. */
function openIsShown(until: number): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      const open = find(get().openId);
      const isShown = !open || open.stage === "failed" || open.cutout?.took.drawn != null;
      if (!isShown && Date.now() < until) return;
      clearTimeout(timer);
      unsubscribe();
      resolve();
    };
    const timer = setTimeout(check, Math.max(0, until - Date.now()));
    const unsubscribe = page.subscribe(check);
    check();
  });
}

async function show(id: number, blob: Blob): Promise<void> {
  if (!find(id)) return;
  const url = URL.createObjectURL(await scaleDown(blob));
  const before = find(id);
  if (!before) return URL.revokeObjectURL(url);
  if (before.thumbUrl) URL.revokeObjectURL(before.thumbUrl);
  update(id, { thumbUrl: url });
}

async function scaleDown(blob: Blob): Promise<Blob> {
  const whole = await createImageBitmap(blob);
  const scale = Math.min(1, LONG_SIDE / Math.max(whole.width, whole.height));
  const canvas = new OffscreenCanvas(
    Math.max(1, Math.round(whole.width * scale)),
    Math.max(1, Math.round(whole.height * scale)),
  );
  canvas.getContext("2d")?.drawImage(whole, 0, 0, canvas.width, canvas.height);
  whole.close();
  return canvas.convertToBlob();
}
