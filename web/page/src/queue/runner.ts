import {
  checkSize,
  pauseBefore,
  type Removal,
  RemovalError,
} from "birefnet-background-removal/client";
import { begin } from "../editor/document.js";
import { announce, client, find, get, type Picture, set, update } from "../store.js";
import { inWords, say } from "../strings.js";
import { explain, MAX_TRIES } from "./failures.js";
import { chooseNext } from "./schedule.js";
import { shrink } from "./shrink.js";
import { makeThumb } from "./thumbs.js";
import { askHealth } from "./watch.js";

const requests = new Map<number, AbortController>();
let nextId = 1;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Put files on the list; the first one is opened if none is. */
export function add(files: readonly File[]): void {
  if (files.length === 0) return announce(say("saidNothing"), true);
  const pictures = files.map(prepare);
  for (const { id } of pictures) performance.mark(`given:${id}`);
  set((state) => ({
    pictures: [...state.pictures, ...pictures],
    openId: state.openId ?? pictures[0]?.id ?? null,
  }));
  announce(say("saidAdded", { n: files.length }));
  pump();
  for (const { id, file } of pictures) makeThumb(id, file);
}

function prepare(file: File): Picture {
  const id = nextId++;
  const name = file.name || `${say("pictures")} ${id}.png`; // what is pasted may have none
  const sourceUrl = URL.createObjectURL(file);
  const fresh = { stage: "queued", sent: 0, tries: 0, notBefore: 0, cutout: null } as const;
  const history = begin(get().looks);
  return { id, name, file, sourceUrl, thumbUrl: null, ...fresh, failure: null, history };
}

/** Start what may start now; call it whenever that may have changed. */
export function pump(): void {
  clearTimeout(timer);
  for (;;) {
    const { pictures, pausedUntil, service } = get();
    if (service.downUntil !== null) return; // asked again by itself, which comes back here
    const limit = service.info?.rate_limits.at_once ?? null;
    const next = chooseNext(pictures, Date.now(), pausedUntil, limit);
    if (next === null) return;
    if ("waitUntil" in next) {
      timer = setTimeout(pump, Math.max(50, next.waitUntil - Date.now()));
      return;
    }
    void run(next.send);
  }
}

async function run(picture: Picture): Promise<void> {
  const { id } = picture;
  const stop = new AbortController();
  requests.set(id, stop);
  update(id, { stage: "uploading", sent: 0, failure: null });
  try {
    checkSize(picture.file, get().service.info);
    const { model } = get();
    const begun = performance.now();
    const removal = await client.remove(picture.file, {
      signal: stop.signal,
      options: model ? { model } : {},
      onUpload: (sent) => update(id, { sent, stage: sent < 1 ? "uploading" : "working" }),
    });
    finish(picture, removal, begun);
  } catch (error) {
    const known = error instanceof RemovalError ? error : new RemovalError("INTERNAL_ERROR", 0);
    stumble(id, await whyLost(known, picture.file));
  } finally {
    requests.delete(id);
    queueMicrotask(pump); // not from inside `pump`, where a file is refused at once
  }
}

// A file that has gone, or is a folder, looks to a browser like a connection that broke.
async function whyLost(error: RemovalError, file: File): Promise<RemovalError> {
  if (error.code !== "CONNECTION_LOST") return error;
  const unreadable = () => new RemovalError("UNREADABLE", 0);
  return file
    .slice(0, 1)
    .arrayBuffer()
    .then(() => error, unreadable);
}

function finish({ id }: Picture, removal: Removal, begun: number): void {
  if (!find(id)) return;
  const { blob, model, engine, subjectFound, serviceMs, pace } = removal;
  const receivedAt = performance.mark(`received:${id}`).startTime;
  const service = serviceMs ?? 0;
  const took = { wire: Math.max(0, receivedAt - begun - service), service, drawn: null };
  const url = URL.createObjectURL(blob);
  const told = { model: model ?? "?", engine: engine ?? "?" };
  update(id, { stage: "done", cutout: { blob, url, ...told, subjectFound, took, receivedAt } });
  if (pace) set({ limit: pace.limit });
  if (pace?.remaining === 0) pause(pace.resetInS);
  makeThumb(id, blob);
}

function stumble(id: number, error: RemovalError): void {
  const picture = find(id);
  if (!picture) return;
  if (error.code === "RATE_LIMIT_EXCEEDED") {
    pause(error.retryAfterS ?? 1); // no failure: its turn comes
    return update(id, { stage: "queued", sent: 0 });
  }
  if (error.code === "CONNECTION_LOST") void askHealth();
  if (error.isPassing && picture.tries < MAX_TRIES) {
    const seconds = pauseBefore(picture.tries, error.retryAfterS);
    const notBefore = Date.now() + seconds * 1000;
    return update(id, { stage: "queued", sent: 0, tries: picture.tries + 1, notBefore });
  }
  const failure = explain(error);
  update(id, { stage: "failed", failure });
  if (error.code !== "CANCELLED") {
    announce(say("saidFailed", { name: picture.name, reason: failure.text }));
  }
}

function pause(seconds: number): void {
  const until = Date.now() + seconds * 1000 + 50;
  if (until <= get().pausedUntil) return;
  set({ pausedUntil: until });
  if (seconds > 3 && get().pictures.some((one) => one.stage === "queued")) {
    announce(say("pausedFor", { left: inWords(seconds) }));
  }
}

/** Stop a request, or take a picture that waits out of the queue; it can be tried again. */
export function cancel(id: number): void {
  const request = requests.get(id);
  if (request) return request.abort();
  if (find(id)?.stage === "queued") stumble(id, new RemovalError("CANCELLED", 0));
}

export function retry(id: number): void {
  if (find(id)?.stage !== "failed") return;
  update(id, { stage: "queued", tries: 0, notBefore: 0, failure: null });
  pump();
}

/** Try again what failed with one of these codes; without codes, all that another try may help. */
export function retryFailed(codes?: readonly string[]): void {
  for (const { id, failure } of get().pictures) {
    if (codes ? codes.includes(failure?.code ?? "") : failure?.cures.includes("retry")) retry(id);
  }
}

/** Send with another key, or none: its limits are others. */
export function changeKey(apiKey: string): void {
  set({ apiKey, pausedUntil: 0, limit: null });
  if (apiKey)
    retryFailed(["API_KEY_REQUIRED", "INVALID_API_KEY", "CONFLICTING_API_KEYS", "ACCESS_DENIED"]);
  pump();
}

/** Make a picture small enough for the service, and send that. */
export async function makeFit(id: number): Promise<void> {
  const picture = find(id);
  const { info } = get().service;
  if (!picture || !info || picture.stage !== "failed") return;
  update(id, { stage: "shrinking", failure: null });
  try {
    const file = await shrink(picture.file, info.limits);
    if (!find(id)) return;
    const sourceUrl = URL.createObjectURL(file);
    URL.revokeObjectURL(picture.sourceUrl);
    update(id, { stage: "queued", file, sourceUrl, tries: 0, notBefore: 0 });
  } catch {
    stumble(id, new RemovalError("CANNOT_SHRINK", 0));
  }
  pump();
}

const UNDO_MS = 8000;
let forgetting: ReturnType<typeof setTimeout> | undefined;

/** Take pictures off the list; for some seconds that can be undone. */
export function takeOff(ids: readonly number[]): void {
  const { pictures, openId } = get();
  const kept = pictures.filter((one) => !ids.includes(one.id));
  if (kept.length === pictures.length) return;
  const at = pictures.findIndex((one) => one.id === openId);
  const isOpenGone = openId !== null && ids.includes(openId);
  const neighbour = kept[Math.min(Math.max(0, at), kept.length - 1)]?.id ?? null;
  for (const id of ids) requests.get(id)?.abort();
  forget();
  set({
    pictures: kept,
    openId: isOpenGone ? neighbour : openId,
    undo: { pictures, openId },
  });
  announce(say("takenOff", { n: pictures.length - kept.length }));
  forgetting = setTimeout(forget, UNDO_MS);
  pump();
}

/** Bring back what was taken off last. */
export function undoTakeOff(): void {
  const { undo, pictures } = get();
  if (!undo) return;
  clearTimeout(forgetting);
  const before = undo.pictures.map((old) => find(old.id) ?? restart(old));
  const since = pictures.filter((one) => !before.some((old) => old.id === one.id));
  set({ pictures: [...before, ...since], openId: undo.openId, undo: null });
  pump();
}

// What was being sent has been stopped.
const restart = (picture: Picture): Picture =>
  picture.stage === "done" || picture.stage === "failed"
    ? picture
    : { ...picture, stage: "queued" };

// Gives back the memory of what cannot be brought back any more.
function forget(): void {
  clearTimeout(forgetting);
  const { undo } = get();
  set({ undo: null });
  for (const { id, sourceUrl, thumbUrl, cutout } of undo?.pictures ?? []) {
    if (find(id)) continue;
    for (const url of [sourceUrl, thumbUrl, cutout?.url]) if (url) URL.revokeObjectURL(url);
  }
}
