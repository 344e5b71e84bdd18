import { RemovalError } from "./problem.js";

/** An answer, whatever carried it. */
export interface Answer {
  status: number;
  /** The value of a header; null if it is missing, or hidden from pages of another origin. */
  header: (name: string) => string | null;
  blob: Blob;
  /** What sending took, in milliseconds; null where nobody can tell. */
  uploadMs: number | null;
}

/** How a form is sent. */
export interface Sending {
  headers: Record<string, string>;
  signal: AbortSignal | undefined;
  onUpload: ((share: number) => void) | undefined;
}

/**
 * Send a form: by XMLHttpRequest, for `fetch` does not tell how much of a body has been sent; by
 * `fetch` where there is nothing else, as on a server.
 *
 * @throws RemovalError `CONNECTION_LOST` or `CANCELLED`
 */
export function post(url: string, form: FormData, how: Sending): Promise<Answer> {
  if (how.signal?.aborted) return Promise.reject(new RemovalError("CANCELLED", 0));
  return typeof XMLHttpRequest === "undefined" ? byFetch(url, form, how) : byXhr(url, form, how);
}

function byXhr(url: string, form: FormData, how: Sending): Promise<Answer> {
  const { headers, signal, onUpload } = how;
  return new Promise((resolve, reject) => {
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
    request.onload = () => {
      const header = (name: string) => request.getResponseHeader(name);
      resolve({ status: request.status, header, blob: request.response, uploadMs: sent - begun });
    };
    request.onerror = () => reject(new RemovalError("CONNECTION_LOST", 0));
    request.onabort = () => reject(new RemovalError("CANCELLED", 0));
    request.onloadend = () => signal?.removeEventListener("abort", abort);
    signal?.addEventListener("abort", abort);
    request.send(form);
  });
}

async function byFetch(url: string, form: FormData, how: Sending): Promise<Answer> {
  const { headers, signal, onUpload } = how;
  try {
    const answer = await fetch(url, {
      method: "POST",
      body: form,
      headers,
      signal: signal ?? null,
    });
    onUpload?.(1);
    const header = (name: string) => answer.headers.get(name);
    return { status: answer.status, header, blob: await answer.blob(), uploadMs: null };
  } catch {
    throw new RemovalError(signal?.aborted ? "CANCELLED" : "CONNECTION_LOST", 0);
  }
}
