import type { Removal } from "./client.js";
import type { Problem, RemovalError } from "./problem.js";

/** What ran. */
export interface ProcessingInfo {
  /** Width and height of the picture that was sent, such as "1920x1080". */
  original_size: string;
  processing_time_ms: number;
  model_version: string;
  engine: string | null;
}

/** What the headers of an answer tell; null unless they tell all that is promised. */
export function readInfo(removal: Removal): ProcessingInfo | null {
  const { originalSize, serviceMs, model, engine } = removal;
  if (originalSize === null || serviceMs === null || model === null) return null;
  return {
    original_size: originalSize,
    processing_time_ms: serviceMs,
    model_version: model,
    engine,
  };
}

// For what the service has no words of its own.
const WORDS: Readonly<Record<string, string>> = {
  CONNECTION_LOST:
    "The connection was lost, the service is not running, or it does not allow this page.",
  CANCELLED: "Cancelled.",
};

/** An error as plain data, with words for a person. */
export function describe(error: RemovalError): Problem {
  const { code, status, fields, retryAfterS, requestId, message } = error;
  const detail =
    code === "NOT_OURS" && message.startsWith(code)
      ? `An answer came that is not the service's own (HTTP ${status}).`
      : (WORDS[code] ?? message);
  return { detail, error_code: code, request_id: requestId, fields, status, retryAfterS };
}
