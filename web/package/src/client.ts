import type { components } from "../../schema.js";
import { RemovalError, readProblem } from "./problem.js";

export { type Problem, RemovalError } from "./problem.js";

type Schemas = components["schemas"];
export type Info = Schemas["Info"];
export type Health = Schemas["Health"];

/** Where the service is, and who asks. */
export interface ClientSettings {
  /** Address of the routes, with or without a slash at its end. */
  baseUrl: string;
  /** The key to send, if any; asked anew for every request. */
  apiKey?: () => string;
}

/** How one removal is sent. */
export interface RemoveOptions {
  /** Fields of the form beside the picture, as in `docs/api.md`. */
  options?: Record<string, string>;
  /** Ends the request. */
  signal?: AbortSignal;
  /** Told the share of the body that has been sent, 0 to 1. */
  onUpload?: (share: number) => void;
}

/** How many requests may still be sent, as the service counts them. */
export interface Pace {
  /** Requests that are left now. */
  remaining: number;
  /** Seconds until one more is. */
  resetInS: number;
}

/** A finished picture. */
export interface Removal {
  /** The file exactly as the service sent it. */
  blob: Blob;
  /** The name that the service gives it. */
  fileName: string | null;
  /** Width and height in pixels. */
  size: [number, number] | null;
  /** False if nothing was found that could be a subject. */
  subjectFound: boolean;
  model: string | null;
  engine: string | null;
  /** From the complete body to the finished answer, in the service; milliseconds. */
  serviceMs: number | null;
  /** What sending the picture took; milliseconds. */
  uploadMs: number;
  pace: Pace | null;
}

/** Talks to one service. */
export interface Client {
  /**
   * Remove the background of one picture.
   *
   * @throws RemovalError
   */
  remove(file: Blob, how?: RemoveOptions): Promise<Removal>;
  /** Every limit, format and option. @throws RemovalError */
  info(): Promise<Info>;
  /** How the service is, also when it is unhealthy. @throws RemovalError */
  health(): Promise<Health>;
}

/** Make a client; it keeps nothing between requests. */
export function createClient(settings: ClientSettings): Client {
  const base = settings.baseUrl.replace(/\/+$/, "");
  const headers = (): Record<string, string> => {
    const key = settings.apiKey?.();
    return key ? { "X-API-Key": key } : {};
  };
  return {
    remove: (file, how = {}) => send(`${base}/remove`, headers(), file, how),
    info: () => read<Info>(`${base}/info`, headers()),
    health: () => read<Health>(`${base}/health`, headers(), [503]),
  };
}

async function read<T>(
  url: string,
  headers: Record<string, string>,
  also: number[] = [],
): Promise<T> {
  const answer = await fetch(url, { headers, cache: "no-store" }).catch(() => {
    throw new RemovalError("CONNECTION_LOST", 0);
  });
  const text = await answer.text().catch(() => "");
  const failure = readProblem(answer.status, text, answer.headers.get("Retry-After"));
  if (!answer.ok && !(also.includes(answer.status) && failure.code !== "NOT_OURS")) throw failure;
  try {
    return JSON.parse(text) as T;
  } catch {
    throw failure;
  }
}

// XMLHttpRequest, for `fetch` does not tell how much of a body has been sent.
function send(
  url: string,
  headers: Record<string, string>,
  file: Blob,
  { options = {}, signal, onUpload }: RemoveOptions,
): Promise<Removal> {
  const form = new FormData();
  for (const [name, value] of Object.entries(options)) form.append(name, value);
  form.append("image", file);
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new RemovalError("CANCELLED", 0));
    const request = new XMLHttpRequest();
    const begun = performance.now();
    let sent = begun;
    const abort = () => request.abort();
    request.open("POST", url);
    request.responseType = "blob";
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onUpload?.(event.loaded / event.total);
    };
    request.upload.onload = () => {
      sent = performance.now();
      onUpload?.(1);
    };
    request.onload = () => resolve(receive(request, sent - begun));
    request.onerror = () => reject(new RemovalError("CONNECTION_LOST", 0));
    request.onabort = () => reject(new RemovalError("CANCELLED", 0));
    request.onloadend = () => signal?.removeEventListener("abort", abort);
    signal?.addEventListener("abort", abort);
    request.send(form);
  });
}

async function receive(request: XMLHttpRequest, uploadMs: number): Promise<Removal> {
  const header = (name: string) => request.getResponseHeader(name);
  const blob: Blob = request.response;
  const isPicture = header("Content-Type")?.startsWith("image/") ?? false;
  if (request.status !== 200 || !isPicture) {
    throw readProblem(request.status, await blob.text(), header("Retry-After"));
  }
  const size = /^(\d+)x(\d+)$/.exec(header("X-Output-Size") ?? "");
  return {
    blob,
    fileName: /filename="([^"]+)"/.exec(header("Content-Disposition") ?? "")?.[1] ?? null,
    size: size ? [Number(size[1]), Number(size[2])] : null,
    subjectFound: header("X-Subject-Found") !== "false",
    model: header("X-Model-Version"),
    engine: header("X-Engine"),
    serviceMs: readNumber(header("X-Processing-Time-Ms")),
    uploadMs,
    pace: readPace(header),
  };
}

// By the service's clock, which may differ from this machine's.
function readPace(header: (name: string) => string | null): Pace | null {
  const remaining = readNumber(header("X-RateLimit-Remaining"));
  const reset = readNumber(header("X-RateLimit-Reset"));
  if (remaining === null || reset === null) return null;
  const now = Date.parse(header("Date") ?? "") || Date.now();
  return { remaining, resetInS: Math.max(0, reset - now / 1000) };
}

function readNumber(text: string | null): number | null {
  const value = Number(text);
  return text !== null && text !== "" && Number.isFinite(value) ? value : null;
}
