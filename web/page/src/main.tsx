import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App.js";
import { listen } from "./keys.js";
import { watch } from "./queue/watch.js";
import { get } from "./store.js";
import "./tokens.css";

const PATIENCE_MS = 1000;

const root = document.getElementById("root");
if (root) {
  listen(() => get().singleKeys);
  const page = createRoot(root);
  // What the service says decides what is above the rest, and nothing shall move once it is seen.
  await Promise.race([watch(), new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
  page.render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
