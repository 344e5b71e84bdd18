// What the tests drive: the hook or the component, with settings from the address, and all that the
// hook gave at each render.
import { BackgroundRemoval, type BackgroundRemovalState, useBackgroundRemoval } from "birefnet-background-removal";
import "birefnet-background-removal/styles.css";
import * as React from "react";
import { type FC, type ReactNode, StrictMode, useState, version } from "react";
import { createRoot, type Root } from "react-dom/client";

const query = new URLSearchParams(location.search);
const settings = {
  ...JSON.parse(query.get("settings") ?? "{}"),
  onDone: () => {
    bench.done += 1;
  },
};
const bench = {
  version,
  states: [] as BackgroundRemovalState[],
  state: null as BackgroundRemovalState | null,
  done: 0,
  renderAgain: () => {},
  hide: (_: boolean) => {},
  mount,
  unmount: () => root?.unmount(),
  // Bytes that the tests compare.
  bytes: async () => [...new Uint8Array((await bench.state?.processedBlob?.arrayBuffer()) ?? [])],
  file: (base64: string) =>
    new File([Uint8Array.from(atob(base64), (one) => one.charCodeAt(0))], "a.png"),
};
Object.assign(globalThis, { bench });
let root: Root | undefined;

function Hooked() {
  const [, renderAgain] = useState(0);
  bench.renderAgain = () => renderAgain((n) => n + 1);
  bench.state = useBackgroundRemoval({ ...settings });
  bench.states.push(bench.state);
  const { originalUrl, processedUrl, status } = bench.state;
  return (
    <section data-status={status}>
      {originalUrl && <img src={originalUrl} alt="Original" />}
      {processedUrl && <img src={processedUrl} alt="Cutout" />}
    </section>
  );
}

// Keeps the state of what it hides, and ends its effects; of React 19.
function Hideable() {
  const [hidden, hide] = useState(false);
  bench.hide = hide;
  const { Activity } = React as unknown as { Activity: FC<{ mode: string; children: ReactNode }> };
  return (
    <Activity mode={hidden ? "hidden" : "visible"}>
      <Hooked />
    </Activity>
  );
}

function Shown() {
  const children = (state: BackgroundRemovalState) => <output>{state.info?.model_version}</output>;
  return <BackgroundRemoval {...settings} {...(query.has("children") && { children })} />;
}

function mount() {
  const place = document.getElementById("root");
  if (!place) return;
  root = createRoot(place);
  const kinds: Record<string, ReactNode> = { component: <Shown />, hideable: <Hideable /> };
  const shown = kinds[query.get("show") ?? ""] ?? <Hooked />;
  root.render(query.has("strict") ? <StrictMode>{shown}</StrictMode> : shown);
}

mount();
