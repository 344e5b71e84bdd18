/** The page's side of a worker that edits pictures. */
import type { Answer, Call, Functions } from "./worker.js";
import address from "./worker.js?worker&url";

type Name = keyof Functions;
type Made<N extends Name> = Awaited<ReturnType<Functions[N]>>;
type Waiting = { done(made: unknown): void; failed(error: Error): void };

/** Have the browser keep the worker's script, for a time when the service is not there. */
export function keepWorker(): void {
  void fetch(address, { priority: "low" }).catch(() => undefined);
}

export class Remote {
  private readonly worker = new Worker(address, { type: "module" });
  private readonly waiting = new Map<number, Waiting>();
  private n = 0;
  private ended: string | null = null;

  constructor() {
    this.worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
      const call = this.waiting.get(data.n);
      this.waiting.delete(data.n);
      if (data.fault === undefined) call?.done(data.made);
      else call?.failed(new Error(data.fault));
    });
    this.worker.addEventListener("error", (event) => this.fail(event.message));
  }

  /** Ask for something; calls are answered in the order they are made. @throws Error that it gave. */
  call<N extends Name>(name: N, ...given: Parameters<Functions[N]>): Promise<Made<N>> {
    this.n += 1;
    const call: Call = { n: this.n, name, given };
    return new Promise((resolve, reject) => {
      if (this.ended !== null) return reject(new Error(this.ended));
      const done = (made: unknown) => resolve(made as Made<N>);
      this.waiting.set(call.n, { done, failed: reject });
      this.worker.postMessage(call);
    });
  }

  /** End the worker, and with it all memory that it had. */
  close(): void {
    this.worker.terminate();
    this.fail("closed");
  }

  /** Whether it answers no more: another one must be made. */
  get isOver(): boolean {
    return this.ended !== null;
  }

  private fail(reason: string): void {
    this.ended = reason;
    for (const { failed } of this.waiting.values()) failed(new Error(reason));
    this.waiting.clear();
  }
}
