/** Answers the page: a number, the name of a function of the session, and what it takes. */
import * as session from "./session.js";

export interface Call {
  readonly n: number;
  readonly name: keyof typeof functions;
  readonly given: readonly unknown[];
}

/** What came of a call; `fault` is set where it failed. */
export interface Answer {
  readonly n: number;
  readonly made?: unknown;
  readonly fault?: string;
}

const { open, follow, show, again, file } = session;
const functions = { open, follow, show, again, file };
export type Functions = typeof functions;

let last: Promise<unknown> = Promise.resolve();

// One after the other, in the order they were asked for: an answer is of the state before the next.
addEventListener("message", ({ data }: MessageEvent<Call>) => {
  last = last.then(() => answer(data));
});

async function answer({ n, name, given }: Call): Promise<void> {
  const send = (what: Answer, moved: Transferable[] = []) => postMessage(what, { transfer: moved });
  try {
    const called = functions[name] as (...all: readonly unknown[]) => unknown;
    const made = await called(...given);
    const picture = (made as { picture?: ImageBitmap } | undefined)?.picture;
    send({ n, made }, picture ? [picture] : []);
  } catch (error) {
    send({ n, fault: String(error) });
  }
}
