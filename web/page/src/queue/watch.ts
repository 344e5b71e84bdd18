import { client, get, set } from "../store.js";
import { pump } from "./runner.js";

const EVERY_S = 30;
const NOT_READY_EVERY_S = 3;
let timer: ReturnType<typeof setTimeout> | undefined;
let asking: Promise<void> | null = null;
let misses = 0;

/** Ask the service how it is, now and from then on, as long as the page is looked at. */
export function watch(): Promise<void> {
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") void askHealth();
  });
  for (const change of ["online", "offline"]) addEventListener(change, () => void askHealth());
  return askHealth();
}

/** Ask now; whoever asks while it is being asked shares the answer. */
export function askHealth(): Promise<void> {
  asking ??= ask().finally(() => {
    asking = null;
  });
  return asking;
}

async function ask(): Promise<void> {
  clearTimeout(timer);
  try {
    const [health, info] = await Promise.all([
      client.health(),
      get().service.info ?? client.info(),
    ]);
    misses = 0;
    set({ service: { health, info, downUntil: null } });
    again(health.status === "unhealthy" ? NOT_READY_EVERY_S : EVERY_S);
  } catch {
    misses += 1;
    const seconds = Math.min(10, 2 ** misses);
    set(({ service }) => ({ service: { ...service, downUntil: Date.now() + seconds * 1000 } }));
    again(seconds);
  }
  pump();
}

function again(seconds: number): void {
  timer = setTimeout(() => {
    if (document.visibilityState === "visible" || get().service.downUntil) void askHealth();
  }, seconds * 1000);
}
