import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App.js";
import { listen } from "./keys.js";
import { watch } from "./queue/watch.js";
import { get } from "./store.js";
import "./tokens.css";

const root = document.getElementById("root");
if (root) {
  listen(() => get().singleKeys);
  watch();
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
