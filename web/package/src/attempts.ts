import { type Client, checkSize, type Info, type Removal, type RemoveOptions } from "./client.js";
import { pauseBefore, RemovalError } from "./problem.js";

/** What is told while a picture is under way. */
export type Progress =
  | { status: "uploading"; progress: number; error: null }
  | { status: "working"; progress: 1; error: null }
  | { status: "waiting"; progress: null; error: RemovalError };

/** Longer waits than this are a person's to decide on; seconds. */
export const LONGEST_WAIT_S = 60;

/** One picture on its way. */
export interface Attempt {
  client: Client;
  file: Blob;
  /** Fields of the form beside the picture. */
  options: RemoveOptions["options"];
  /** Tries after the first, where the fault is not the picture's. */
  retries: number;
  /** The service's limits, if they are known. */
  info: Info | null;
  signal: AbortSignal;
  tell: (progress: Progress) => void;
}

/**
 * Send a picture, and again after a pause if the service was busy or out of reach.
 *
 * @throws RemovalError The last one.
 */
export async function attempt(one: Attempt): Promise<Removal> {
  const { client, file, options, retries, info, signal, tell } = one;
  checkSize(file, info);
  const onUpload = (progress: number) =>
    tell(
      progress < 1
        ? { status: "uploading", progress, error: null }
        : { status: "working", progress: 1, error: null },
    );
  for (let tries = 0; ; tries += 1) {
    try {
      onUpload(0);
      return await client.remove(file, { options, signal, onUpload });
    } catch (error) {
      if (!(error instanceof RemovalError) || !error.isPassing || tries >= retries) throw error;
      const seconds = pauseBefore(tries, error.retryAfterS);
      if (seconds > LONGEST_WAIT_S) throw error;
      tell({ status: "waiting", progress: null, error });
      await pause(seconds, signal);
    }
  }
}

function pause(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new RemovalError("CANCELLED", 0));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    signal.addEventListener("abort", stop, { once: true });
  });
}
