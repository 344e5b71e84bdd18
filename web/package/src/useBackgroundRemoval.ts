"use client";

import { useCallback, useEffect, useInsertionEffect, useRef, useState } from "react";
import { attempt } from "./attempts.js";
import { type ClientSettings, createClient, type Info, type Removal } from "./client.js";
import { type Problem, RemovalError } from "./problem.js";
import { describe, type ProcessingInfo, readInfo } from "./words.js";

/** Where the service is, and what shall be done with each picture. */
export interface RemovalSettings extends ClientSettings {
  /** Smooth edges; true if left out. */
  smoothing?: boolean | undefined;
  /** Further options of the service, by name, such as `{ bg_color: "white" }`. */
  options?: Record<string, string> | undefined;
  /** Tries after the first while the service is busy or out of reach; 2 if left out. */
  retries?: number | undefined;
  /** Told of every finished picture. */
  onDone?: ((removal: Removal) => void) | undefined;
}

/** What the specification's hook gives. */
export interface UseBackgroundRemovalResult {
  processedBlob: Blob | null;
  processing: boolean;
  error: string | null;
  processingTimeMs: number | null;
  /**
   * Send a picture; a former one that is under way is ended. Never rejects: `error` says what was
   * wrong. Stays the same function for the life of the component.
   */
  removeBackground: (file: File) => Promise<void>;
}

export type RemovalStatus = "idle" | "uploading" | "working" | "waiting" | "done" | "failed";

/** All that the hook gives. */
export interface BackgroundRemovalState extends UseBackgroundRemovalResult {
  /** `waiting`: the service was busy or out of reach, and is asked again by itself. */
  status: RemovalStatus;
  /** Share of the picture that has been sent, 0 to 1; null while nothing is sent. */
  progress: number | null;
  /** What ran; null until it is known, and if a proxy keeps back the headers that tell. */
  info: ProcessingInfo | null;
  /** The service's whole answer. */
  removal: Removal | null;
  /** Addresses for `<img>`, given back by the hook; a browser may be unable to show the original. */
  originalUrl: string | null;
  processedUrl: string | null;
  /** Why it failed, or why it waits. */
  problem: Problem | null;
  /** End what is under way; the picture stays. */
  cancel: () => void;
  /** End what is under way, and forget the picture. */
  reset: () => void;
}

interface Now {
  status: RemovalStatus;
  progress: number | null;
  file: Blob | null;
  removal: Removal | null;
  error: RemovalError | null;
}

const IDLE: Now = { status: "idle", progress: null, file: null, removal: null, error: null };

/** Removes the background of one picture at a time; the newest one counts. */
export function useBackgroundRemoval(settings: RemovalSettings = {}): BackgroundRemovalState {
  const [now, setNow] = useState(IDLE);
  const actions = useActions(settings, setNow);
  const originalUrl = useObjectUrl(now.file);
  const processedUrl = useObjectUrl(now.removal?.blob ?? null);
  const problem = now.error && describe(now.error);
  return {
    ...actions,
    processedBlob: now.removal?.blob ?? null,
    processing: ["uploading", "working", "waiting"].includes(now.status),
    error: now.status === "failed" ? (problem?.detail ?? null) : null,
    processingTimeMs: now.removal?.serviceMs ?? null,
    status: now.status,
    progress: now.progress,
    info: now.removal && readInfo(now.removal),
    removal: now.removal,
    originalUrl,
    processedUrl,
    problem,
  };
}

type Actions = Pick<BackgroundRemovalState, "removeBackground" | "cancel" | "reset">;

function useActions(
  settings: RemovalSettings,
  setNow: (change: (was: Now) => Now) => void,
): Actions {
  const latest = useRef(settings);
  const running = useRef<AbortController | null>(null);
  const known = useRef<{ baseUrl: string | undefined; info: Info } | null>(null);
  // Before every other effect, which may call `removeBackground` already.
  useInsertionEffect(() => {
    latest.current = settings;
  });

  const cancel = useCallback(() => {
    if (!running.current) return;
    running.current.abort();
    running.current = null;
    setNow((was) => ({ ...was, status: "idle", progress: null, error: null }));
  }, [setNow]);
  const reset = useCallback(() => {
    cancel();
    setNow(() => IDLE);
  }, [cancel, setNow]);
  useEffect(() => cancel, [cancel]); // nobody is left to see the answer

  const removeBackground = useCallback(
    async (file: File): Promise<void> => {
      running.current?.abort();
      const mine = new AbortController();
      running.current = mine;
      const tell = (change: Partial<Now>) => {
        if (running.current === mine) setNow((was) => ({ ...was, ...change }));
      };
      tell({ ...IDLE, status: "uploading", progress: 0, file: file instanceof Blob ? file : null });
      try {
        const removal = await run(file, latest.current, known, mine.signal, tell);
        if (running.current !== mine) return;
        tell({ status: "done", progress: null, error: null, removal });
        report(latest.current.onDone, removal);
      } catch (error) {
        tell({ status: "failed", progress: null, error: asRemovalError(error) });
      } finally {
        if (running.current === mine) running.current = null;
      }
    },
    [setNow],
  );
  return { removeBackground, cancel, reset };
}

async function run(
  file: File,
  settings: RemovalSettings,
  known: { current: { baseUrl: string | undefined; info: Info } | null },
  signal: AbortSignal,
  tell: (change: Partial<Now>) => void,
): Promise<Removal> {
  if (!(file instanceof Blob)) throw new TypeError("it is neither a File nor a Blob");
  const { baseUrl, smoothing = true, retries = 2 } = settings;
  const client = createClient(settings);
  if (known.current?.baseUrl !== baseUrl) {
    const info = await client.info(signal).catch(() => null); // then the service judges alone
    known.current = info && { baseUrl, info };
  }
  const info = known.current?.info ?? null;
  const options = { smoothing: String(smoothing), ...settings.options };
  return attempt({ client, file, options, retries, info, signal, tell });
}

// A fault of the caller's function is the caller's to see, and no fault of the removal.
function report(onDone: RemovalSettings["onDone"], removal: Removal): void {
  try {
    onDone?.(removal);
  } catch (error) {
    reportError(error);
  }
}

const asRemovalError = (error: unknown): RemovalError =>
  error instanceof RemovalError
    ? error
    : new RemovalError("BAD_REQUEST", 0, { detail: `The picture could not be sent. ${error}` });

// Made and given back in an effect, so that it holds as long as the component is on the screen.
function useObjectUrl(blob: Blob | null): string | null {
  const [made, setMade] = useState<{ blob: Blob; url: string } | null>(null);
  useEffect(() => {
    if (!blob) return;
    const url = URL.createObjectURL(blob);
    setMade({ blob, url });
    return () => {
      URL.revokeObjectURL(url);
      setMade(null);
    };
  }, [blob]);
  return made !== null && made.blob === blob ? made.url : null;
}
