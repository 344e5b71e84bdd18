import type { components } from "./schema.js";

/** The service's description of an error, as far as it came: a proxy may answer in its place. */
export type ProblemFields = Partial<Record<keyof components["schemas"]["Problem"], unknown>> &
  Record<string, unknown>;

/** What went wrong, as plain data. */
export interface Problem {
  /** In words; the service's own if it sent any. */
  detail: string;
  /** The service's code, or `CONNECTION_LOST`, `NOT_OURS`, `CANCELLED`. */
  error_code: string;
  /** Identifies the request in the service's log. */
  request_id: string | null;
  /** All that the service sent. */
  fields: Readonly<Record<string, unknown>>;
  /** The HTTP status; 0 if no answer came, or nothing was sent. */
  status: number;
  /** Seconds to wait before the next try, if the service said so. */
  retryAfterS: number | null;
}

/** What went wrong with a request. */
export class RemovalError extends Error {
  override readonly name = "RemovalError";

  /**
   * @param code The service's `error_code`, or `CONNECTION_LOST`, `NOT_OURS` (an answer that is not
   *   the service's own), `CANCELLED`.
   * @param status The HTTP status; 0 if no answer came.
   * @param fields All that the service sent.
   * @param retryAfterS Seconds to wait before the next try, if the service said so.
   */
  constructor(
    readonly code: string,
    readonly status: number,
    readonly fields: ProblemFields = {},
    readonly retryAfterS: number | null = null,
  ) {
    super(wordsOf(fields.detail) ?? `${code} (HTTP ${status})`);
  }

  /** Identifies the request in the service's log. */
  get requestId(): string | null {
    return typeof this.fields.request_id === "string" ? this.fields.request_id : null;
  }

  /** Whether the same picture may be sent again by itself: the fault is not the picture's. */
  get isPassing(): boolean {
    if (this.code === "NOT_OURS") return this.status >= 502;
    return this.code === "CONNECTION_LOST" || [408, 429, 503].includes(this.status);
  }
}

/** Seconds until a picture of this try is sent again: 1, 2, 4, or longer if the service says so. */
export const pauseBefore = (tries: number, retryAfterS: number | null): number =>
  Math.max(2 ** tries, retryAfterS ?? 0);

/** Reads the error out of an answer that is not a success. */
export function readProblem(status: number, text: string, retryAfter: string | null): RemovalError {
  const seconds = Number.parseFloat(retryAfter ?? "");
  const retryAfterS = Number.isFinite(seconds) ? Math.max(0, seconds) : null;
  const fields = parse(text);
  const code = typeof fields.error_code === "string" ? fields.error_code : "NOT_OURS";
  return new RemovalError(code, status, fields, retryAfterS);
}

function parse(text: string): ProblemFields {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === "object" && found !== null ? (found as ProblemFields) : {};
  } catch {
    return {};
  }
}

// A text, or a list of what is wrong, as frameworks send it in place of the service.
function wordsOf(detail: unknown): string | null {
  if (typeof detail === "string") return detail || null;
  if (!Array.isArray(detail)) return null;
  return (
    detail
      .map((one) => one?.msg)
      .filter((msg) => typeof msg === "string")
      .join("; ") || null
  );
}
