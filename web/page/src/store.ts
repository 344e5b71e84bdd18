import { createClient, type Health, type Info } from "birefnet-background-removal/client";
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { History } from "./editor/document.js";
import { type Frame, type Looks, PLAIN } from "./editor/looks.js";
import type { Output } from "./editor/session.js";
import type { Failure } from "./queue/failures.js";
import { recall, remember } from "./remembered.js";

export type Stage = "queued" | "shrinking" | "uploading" | "working" | "done" | "failed";

/** What the service made of a picture. */
export interface Cutout {
  /** The service's own bytes. */
  blob: Blob;
  url: string;
  model: string;
  engine: string;
  subjectFound: boolean;
  /** Milliseconds: sending and receiving, in the service, and drawing (null until it was). */
  took: { wire: number; service: number; drawn: number | null };
  /** When the answer was there, by `performance.now()`. */
  receivedAt: number;
}

export interface Picture {
  id: number;
  name: string;
  file: File;
  /** Address of the file in this tab's memory; a browser may be unable to show it. */
  sourceUrl: string;
  thumbUrl: string | null;
  stage: Stage;
  /** Share of the upload, 0 to 1. */
  sent: number;
  /** Tries that ended because the service could not. */
  tries: number;
  /** Not sent before this time, by `Date.now()`. */
  notBefore: number;
  failure: Failure | null;
  cutout: Cutout | null;
  /** What has been made of the cutout. */
  history: History;
}

/** What the pointer and the keys do on the picture. */
export type Tool = "move" | "keep" | "remove" | "crop";

/** What there is of the open picture, in its pixels. */
export interface Seen {
  readonly size: { readonly width: number; readonly height: number };
  /** The part that is taken. */
  readonly area: Frame;
  /** The part that is in view, and its longer side as a share of the picture's. */
  readonly inView: { readonly part: Frame; readonly share: number } | null;
}

export type Theme = "system" | "light" | "dark";
export type Dialog = "help" | "settings" | null;

/** Whether the service answers, and how it is. */
export interface Service {
  info: Info | null;
  health: Health | null;
  /** While it does not answer: when it is asked again, by `Date.now()`. */
  downUntil: number | null;
}

export interface PageState {
  service: Service;
  pictures: readonly Picture[];
  openId: number | null;
  /** The service's limit: nothing is sent before this time, by `Date.now()`. */
  pausedUntil: number;
  /** The model that callers choose, "" for the default one. */
  model: string;
  /** In this tab's memory only. */
  apiKey: string;
  /** Of pictures that are added from now on. */
  looks: Looks;
  tool: Tool;
  brush: {
    /** Across, in CSS pixels of the screen. */
    size: number;
    /** Whether a stroke also takes what hangs together with it and looks alike. */
    follows: boolean;
  };
  output: Output;
  /** Whether this browser writes WebP; Safari does not. */
  writesWebp: boolean;
  /** How the open picture is seen; null until it is. */
  seen: Seen | null;
  /** Where the original ends and the cutout begins, 0 (all cutout) to 100 (all original). */
  split: number;
  dialog: Dialog;
  theme: Theme;
  singleKeys: boolean;
  /** Pictures a minute that the service takes of this caller, as its answers say. */
  limit: number | null;
  /** The list before the last pictures were taken off it, for as long as that can be undone. */
  undo: { pictures: readonly Picture[]; openId: number | null } | null;
  /** The newest message, numbered so that the same words count anew, and whether all may see it. */
  said: { n: number; text: string; isShown: boolean };
}

const first: PageState = {
  service: { info: null, health: null, downUntil: null },
  pictures: [],
  openId: null,
  pausedUntil: 0,
  model: "",
  apiKey: "",
  looks: PLAIN,
  tool: "move",
  brush: { size: 32, follows: true },
  output: { type: "image/png", quality: 0.9, what: "picture", longSide: null },
  writesWebp: false,
  seen: null,
  split: 0,
  dialog: null,
  theme: recall("theme", ["system", "light", "dark"]),
  singleKeys: recall("singleKeys", ["on", "off"]) === "on",
  limit: null,
  undo: null,
  said: { n: 0, text: "", isShown: false },
};

export const page = createStore<PageState>(() => first);

/** Read a part of the state in a component. */
export const usePage = <T>(part: (state: PageState) => T): T => useStore(page, part);

/** Change parts of the state. */
export const set = page.setState;
export const get = page.getState;

/** The service that this page came from, also where a proxy puts it under a path. */
export const client = createClient({
  baseUrl: new URL("api/background-removal", document.baseURI).href,
  apiKey: () => get().apiKey,
});

export const find = (id: number | null): Picture | undefined =>
  get().pictures.find((picture) => picture.id === id);

/** Change one picture; one that was taken off the list stays off. */
export function update(id: number, change: Partial<Picture>): void {
  set(({ pictures }) => ({
    pictures: pictures.map((one) => (one.id === id ? { ...one, ...change } : one)),
  }));
}

/** Tell a screen reader; what is not to be seen anywhere else is shown to everybody. */
export function announce(text: string, isShown = false): void {
  set(({ said }) => ({ said: { n: said.n + 1, text, isShown } }));
}

export function chooseTheme(theme: Theme): void {
  remember("theme", theme);
  set({ theme });
}

export function switchSingleKeys(on: boolean): void {
  remember("singleKeys", on ? "on" : "off");
  set({ singleKeys: on });
}

const dot = new OffscreenCanvas(1, 1);
dot.getContext("2d");
void dot
  .convertToBlob({ type: "image/webp" })
  .then(({ type }) => set({ writesWebp: type === "image/webp" }))
  .catch(() => undefined);
