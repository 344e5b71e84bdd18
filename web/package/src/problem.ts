import type { components } from "../../schema.js";

/** The service's description of an error, as far as it came: a proxy may answer in its place. */
export type Problem = Partial<components["schemas"]["Problem"]> & Record<string, unknown>;

/** What went wrong with a request. */
export class RemovalError extends Error {
  override readonly name = "RemovalError";

  /**
   * @param code The service's `error_code`, or `CONNECTION_LOST`, `NOT_OURS` (an answer that is not
   *   the service's own), `CANCELLED`.
   * @param status The HTTP status; 0 if no answer came.
   * @param problem All fields that the service sent.
   * @param retryAfterS Seconds to wait before the next try, if the service said so.
   */
  constructor(
    readonly code: string,
    readonly status: number,
    readonly problem: Problem = {},
    readonly retryAfterS: number | null = null,
  ) {
    super(typeof problem.detail === "string" ? problem.detail : `${code} (HTTP ${status})`);
  }

  /** Identifies the request in the service's log. */
  get requestId(): string | null {
    return typeof this.problem.request_id === "string" ? this.problem.request_id : null;
  }
}

/** Reads the error out of an answer that is not a success. */
export function readProblem(status: number, text: string, retryAfter: string | null): RemovalError {
  const seconds = Number.parseFloat(retryAfter ?? "");
  const retryAfterS = Number.isFinite(seconds) ? Math.max(0, seconds) : null;
  const problem = parse(text);
  const code = typeof problem.error_code === "string" ? problem.error_code : "NOT_OURS";
  return new RemovalError(code, status, problem, retryAfterS);
}

function parse(text: string): Problem {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === "object" && found !== null ? (found as Problem) : {};
  } catch {
    return {};
  }
}
