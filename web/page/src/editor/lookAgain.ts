/** One part of a picture through the network once more, at all of the size that it takes. */
import { RemovalError } from "birefnet-background-removal/client";
import type { Finished } from "../export/result.js";
import { explain } from "../queue/failures.js";
import { askHealth } from "../queue/watch.js";
import { announce, client, find, get, set } from "../store.js";
import { say } from "../strings.js";
import { addEdit } from "./acts.js";
import { again } from "./live.js";
import type { Frame } from "./looks.js";

/**
 * What is in view is a part of a picture if it is no longer than this share of it: where a second
 * look is worth most, by `docs/benchmarks/2026-11-27-look-again.md`. From 0.7 on it may harm.
 */
export const MOST_OF_PICTURE = 0.5;

/** Look again at a part, and take over what is seen there. Says what came of it. */
export async function lookAgain(picture: Finished, part: Frame): Promise<void> {
  try {
    const { model, service } = get();
    const named = (service.info?.models.length ?? 1) > 1 ? picture.cutout.model : model;
    const seen = largeEnough(part);
    const answer = await client.remove(await cutOut(picture.file, seen), {
      options: { output: "mask", format: "png", ...(named && { model: named }) },
    });
    if (answer.pace) set({ limit: answer.pace.limit });
    const now = find(picture.id)?.history.now;
    if (!now) return;
    const patch = await again(picture, now, seen, answer.blob);
    if (patch) addEdit(picture.id, patch);
    announce(say(patch ? "againDone" : "againSame"), true);
  } catch (error) {
    if (error instanceof RemovalError && error.code === "CONNECTION_LOST") void askHealth();
    announce(error instanceof RemovalError ? explain(error).text : say("errEdit"), true);
  }
}

// As much around it as the service asks for.
function largeEnough(part: Frame): Frame {
  const { seen, service } = get();
  const least = service.info?.limits.min_side ?? 1;
  const [left, width] = widened(part.left, part.width, least, seen?.size.width ?? least);
  const [top, height] = widened(part.top, part.height, least, seen?.size.height ?? least);
  return { left, top, width, height };
}

function widened(first: number, length: number, least: number, most: number): [number, number] {
  const wide = Math.max(length, least);
  const begin = first - Math.floor((wide - length) / 2);
  return [Math.max(0, Math.min(most - wide, begin)), wide];
}

async function cutOut(file: Blob, { left, top, width, height }: Frame): Promise<Blob> {
  const part = await createImageBitmap(file, left, top, width, height);
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.drawImage(part, 0, 0);
  part.close();
  const png = await canvas.convertToBlob();
  const most = get().service.info?.limits.max_file_bytes ?? Number.POSITIVE_INFINITY;
  return png.size <= most ? png : canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
}
