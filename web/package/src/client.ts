import { RemovalError, readProblem } from "./problem.js";
import type { components } from "./schema.js";
import { type Answer, post } from "./transport.js";

export { type Problem, type ProblemFields, pauseBefore, RemovalError } from "./problem.js";

type Schemas = components["schemas"];
export type Info = Schemas["Info"];
export type Health = Schemas["Health"];
export type Backgrounds = Schemas["Backgrounds"];

/** Where the service is, and who asks. */
export interface ClientSettings {
  /** Address of the routes, with or without a slash at its end; absolute outside of a browser. */
  baseUrl?: string | undefined;
  /** The key to send, if any; a function is asked anew for every request. */
  apiKey?: string | (() => string | undefined) | undefined;
  /** Further headers of every request. */
  headers?: Record<string, string> | undefined;
}

/** How one removal is sent. */
export interface RemoveOptions {
  /** Fields of the form beside the picture, as in `docs/api.md`; not `return_base64`. */
  options?: Record<string, string> | undefined;
  /** Ends the request. */
  signal?: AbortSignal | undefined;
  /** Told the share of the body that has been sent, 0 to 1. */
  onUpload?: ((share: number) => void) | undefined;
}

/** How many requests may still be sent, as the service counts them. */
export interface Pace {
  /** Requests a minute that this caller may send. */
  limit: number | null;
  /** Requests that are left now. */
  remaining: number;
  /** Seconds until one more is. */
  resetInS: number;
}

/** A finished picture. What the service did not say, or a proxy took away, is null. */
export interface Removal {
  /** The file exactly as the service sent it. */
  blob: Blob;
  /** The name that the service gives it. */
  fileName: string | null;
  /** Width and height of what was made, in pixels. */
  size: [number, number] | null;
  /** Width and height of the picture that was sent, upright, as "1920x1080". */
  originalSize: string | null;
  /** False if nothing was found that could be a subject. */
  subjectFound: boolean;
  model: string | null;
  engine: string | null;
  /** From the complete body to the finished answer, in the service; milliseconds. */
  serviceMs: number | null;
  /** What sending the picture took; milliseconds. */
  uploadMs: number | null;
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
  info(signal?: AbortSignal): Promise<Info>;
  /** How the service is, also when it is unhealthy. @throws RemovalError */
  health(signal?: AbortSignal): Promise<Health>;
  /** The backgrounds that may be chosen by id: templates, and a key's own. @throws RemovalError */
  backgrounds(signal?: AbortSignal): Promise<Backgrounds>;
  /** A small picture of a background. @throws RemovalError */
  backgroundThumbnail(id: string, signal?: AbortSignal): Promise<Blob>;
  /** A background itself. @throws RemovalError */
  backgroundPicture(id: string, signal?: AbortSignal): Promise<Blob>;
}

/** Make a client; it keeps nothing between requests, and needs no browser. */
export function createClient(settings: ClientSettings = {}): Client {
  const base = (settings.baseUrl ?? "/api/background-removal").replace(/\/+$/, "");
  const headers = (): Record<string, string> => {
    const { apiKey } = settings;
    const key = typeof apiKey === "function" ? apiKey() : apiKey;
    return { ...settings.headers, ...(key && { "X-API-Key": key }) };
  };
  return {
    remove: (file, how = {}) => send(`${base}/remove`, headers(), file, how),
    info: (signal) => read<Info>(`${base}/info`, headers(), signal),
    health: (signal) => read<Health>(`${base}/health`, headers(), signal, [503]),
    backgrounds: (signal) => read<Backgrounds>(`${base}/backgrounds`, headers(), signal),
    backgroundThumbnail: (id, signal) =>
      picture(`${base}/backgrounds/${id}/thumbnail`, headers(), signal),
    backgroundPicture: (id, signal) =>
      picture(`${base}/backgrounds/${id}/picture`, headers(), signal),
  };
}

/**
 * Refuse what the service is known to refuse, without sending it.
 *
 * @throws RemovalError `EMPTY_FILE` or `FILE_TOO_LARGE`, with the fields of the service's own.
 */
export function checkSize(file: Blob, info: Info | null): void {
  if (file.size === 0) throw new RemovalError("EMPTY_FILE", 0, { detail: "The file is empty." });
  const most = info?.limits?.max_file_bytes;
  if (most === undefined || file.size <= most) return;
  const [file_size_mb, max_size_mb] = [file.size / 2 ** 20, most / 2 ** 20];
  const detail = `The file has ${file_size_mb.toFixed(1)} MB; the limit is ${max_size_mb.toFixed(1)} MB.`;
  throw new RemovalError("FILE_TOO_LARGE", 0, { detail, file_size_mb, max_size_mb });
}

async function read<T>(
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal | undefined,
  also: number[] = [],
): Promise<T> {
  const answer = await ask(url, headers, signal, "no-store");
  const text = await answer.text().catch(() => "");
  const failure = readProblem(answer.status, text, answer.headers.get("Retry-After"));
  if (!answer.ok && !(also.includes(answer.status) && failure.code !== "NOT_OURS")) throw failure;
  try {
    return JSON.parse(text) as T;
  } catch {
    throw failure;
  }
}

async function picture(
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal | undefined,
): Promise<Blob> {
  const answer = await ask(url, headers, signal, "default");
  if (answer.ok) return answer.blob();
  const text = await answer.text().catch(() => "");
  throw readProblem(answer.status, text, answer.headers.get("Retry-After"));
}

async function ask(
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal | undefined,
  cache: RequestCache,
): Promise<Response> {
  return fetch(url, { headers, cache, signal: signal ?? null }).catch(() => {
    throw new RemovalError(signal?.aborted ? "CANCELLED" : "CONNECTION_LOST", 0);
  });
}

async function send(
  url: string,
  headers: Record<string, string>,
  file: Blob,
  { options = {}, signal, onUpload }: RemoveOptions,
): Promise<Removal> {
  const form = new FormData();
  for (const [name, value] of Object.entries(options)) form.append(name, value);
  form.append("image", file);
  return receive(await post(url, form, { headers, signal, onUpload }));
}

async function receive({ status, header, blob, uploadMs }: Answer): Promise<Removal> {
  const isFile = /^(image\/|application\/zip)/.test(header("Content-Type") ?? "");
  if (status !== 200 || !isFile) {
    throw readProblem(status, await blob.text(), header("Retry-After"));
  }
  const size = /^(\d+)x(\d+)$/.exec(header("X-Output-Size") ?? "");
  return {
    blob,
    fileName: /filename="([^"]+)"/.exec(header("Content-Disposition") ?? "")?.[1] ?? null,
    size: size ? [Number(size[1]), Number(size[2])] : null,
    originalSize: header("X-Original-Size"),
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
  const limit = readNumber(header("X-RateLimit-Limit"));
  return { limit, remaining, resetInS: Math.max(0, reset - now / 1000) };
}

function readNumber(text: string | null): number | null {
  const value = Number(text);
  return text !== null && text !== "" && Number.isFinite(value) ? value : null;
}
