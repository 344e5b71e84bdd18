import { find, update } from "../store.js";

const LONG_SIDE = 144;
let last: Promise<void> = Promise.resolve();

/** Make the small picture of the list, one after the other, so that nothing else has to wait. */
export function makeThumb(id: number, blob: Blob): void {
  last = last.then(() => show(id, blob)).catch(() => undefined);
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
