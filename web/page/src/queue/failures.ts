import type { RemovalError } from "birefnet-background-removal/client";
import { type StringKey, say } from "../strings.js";

/** What a person can do about a failure; the page offers these and no others. */
export type Cure = "retry" | "fit" | "other" | "key";

/** Why a picture failed, in words, with the ways out. */
export interface Failure {
  code: string;
  text: string;
  cures: readonly Cure[];
  requestId: string | null;
}

interface Rule {
  text: StringKey;
  cures: readonly Cure[];
}

/** So often is tried again by itself what passes. */
export const MAX_TRIES = 3;

const again = (text: StringKey): Rule => ({ text, cures: ["retry"] });
const odd: Rule = { text: "errTheirs", cures: ["retry", "other"] };

/** Every code that the service can answer a removal with, and those of this page itself. */
export const RULES: Readonly<Record<string, Rule>> = {
  INVALID_FORMAT: { text: "errFormat", cures: ["other"] },
  INVALID_IMAGE: { text: "errCorrupt", cures: ["other"] },
  CORRUPT_IMAGE: { text: "errCorrupt", cures: ["other"] },
  EMPTY_FILE: { text: "errEmpty", cures: ["other"] },
  ANIMATED_IMAGE: { text: "errAnimated", cures: ["other"] },
  FILE_TOO_LARGE: { text: "errBig", cures: ["fit", "other"] },
  BODY_TOO_LARGE: { text: "errRequest", cures: ["other"] },
  RESOLUTION_TOO_LARGE: { text: "errPixels", cures: ["fit", "other"] },
  RESOLUTION_TOO_SMALL: { text: "errSmall", cures: ["other"] },
  IMAGE_BOMB: { text: "errBomb", cures: ["fit", "other"] },
  RATE_LIMIT_EXCEEDED: { text: "errRate", cures: ["retry"] },
  SERVICE_BUSY: again("errBusy"),
  SERVICE_UNAVAILABLE: again("errBusy"),
  INFERENCE_UNAVAILABLE: again("errBusy"),
  GPU_MEMORY_EXHAUSTED: again("errBusy"),
  MEMORY_EXHAUSTED: again("errBusy"),
  SHUTTING_DOWN: again("errStopping"),
  PROCESSING_TIMEOUT: { text: "errLate", cures: ["retry", "other"] },
  UPLOAD_TIMEOUT: again("errUpload"),
  API_KEY_REQUIRED: { text: "errKeyNeeded", cures: ["key"] },
  INVALID_API_KEY: { text: "errKeyWrong", cures: ["key"] },
  CONFLICTING_API_KEYS: { text: "errKeyWrong", cures: ["key"] },
  ACCESS_DENIED: { text: "errDenied", cures: ["key"] },
  HOST_NOT_ALLOWED: { text: "errHost", cures: ["retry"] },
  BAD_REQUEST: { text: "errRequest", cures: ["retry", "other"] },
  INVALID_REQUEST: { text: "errRequest", cures: ["retry", "other"] },
  NOT_ACCEPTABLE: { text: "errRequest", cures: ["retry"] },
  NOT_FOUND: { text: "errNotOurs", cures: ["retry"] },
  METHOD_NOT_ALLOWED: { text: "errNotOurs", cures: ["retry"] },
  INTERNAL_ERROR: odd,
  INFERENCE_ERROR: odd,
  MODEL_ERROR: odd,
  ENGINE_ERROR: odd,
  CONNECTION_LOST: again("errLost"),
  NOT_OURS: { text: "errNotOurs", cures: ["retry"] },
  CANCELLED: { text: "errCancelled", cures: ["retry"] },
  UNREADABLE: { text: "errUnreadable", cures: ["other"] },
  CANNOT_SHRINK: { text: "errShrink", cures: ["other"] },
};

/** A failure in words. */
export function explain(error: RemovalError): Failure {
  const rule = RULES[error.code] ?? odd;
  const { fields } = error;
  const supported = listOf(fields.supported_formats);
  const got = nameFormats([String(fields.received_format)]);
  const slots = {
    mb: show(fields.file_size_mb, Math.ceil),
    max: show(fields.max_size_mb, Math.floor),
    min: smallestSide(fields.min_resolution),
    got: got && !supported.includes(got) ? ` (${got})` : "",
    formats: supported.join(", "),
    detail: typeof fields.detail === "string" ? fields.detail : "",
    status: error.status,
    host: location.host,
  };
  const text = isHeic(error) ? "errHeic" : hasTooManyPixels(error) ? "errPixels" : rule.text;
  return {
    code: error.code,
    text: say(text, slots),
    cures: rule.cures,
    requestId: error.requestId,
  };
}

/** `image/jpeg` and the like as people call them. */
export function nameFormats(mediaTypes: readonly string[]): string {
  const names = mediaTypes
    .filter((media) => media.startsWith("image/"))
    .map((media) => media.replace("image/", "").replace(/^x-|-sequence$/g, ""))
    .map((name) => ({ webp: "WebP", "ms-bmp": "BMP" })[name] ?? name.toUpperCase())
    .map((name) => ({ JPG: "JPEG", PJPEG: "JPEG", TIF: "TIFF" })[name] ?? name);
  return [...new Set(names)].join(", ");
}

const isHeic = (error: RemovalError): boolean =>
  error.code === "INVALID_FORMAT" && /hei[cf]/.test(String(error.fields.received_format));

const hasTooManyPixels = (error: RemovalError): boolean =>
  error.code === "IMAGE_BOMB" && "megapixels" in error.fields;

const listOf = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);

// To a tenth, so that what is over a limit never looks like the limit.
const show = (value: unknown, round: (value: number) => number): string =>
  typeof value === "number" ? (round(value * 10) / 10).toFixed(1) : "?";

const smallestSide = (resolution: unknown): string => String(resolution ?? "?").split("x")[0] ?? "";
