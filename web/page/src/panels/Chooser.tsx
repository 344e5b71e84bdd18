import { useEffect, useRef, useState } from "react";
import { onAction } from "../keys.js";
import { nameFormats } from "../queue/failures.js";
import { add } from "../queue/runner.js";
import { announce, usePage } from "../store.js";
import { say } from "../strings.js";
import css from "./panels.module.css";
import { SAMPLES } from "./samples.js";

/** The button that asks for files; the whole page takes them by drop and paste. */
export function ChooseButton({ label, isFirst = false }: { label: string; isFirst?: boolean }) {
  const input = useRef<HTMLInputElement>(null);
  const accepted = usePage((state) => state.service.info?.formats.input);
  useEffect(() => onAction("choose", () => input.current?.click()));
  return (
    <>
      <button
        type="button"
        className={isFirst ? css.primary : undefined}
        data-first={isFirst || undefined}
        onClick={() => input.current?.click()}
      >
        {label}
      </button>
      <input
        ref={input}
        type="file"
        hidden
        multiple
        accept={accepted?.join(",") ?? "image/*"}
        onChange={({ target }) => {
          add([...(target.files ?? [])]);
          target.value = ""; // the same file may be chosen again
        }}
      />
    </>
  );
}

/** The page before the first picture. */
export function Welcome() {
  const info = usePage((state) => state.service.info);
  const keys = /Mac|iP/.test(navigator.platform) ? "⌘V" : "Ctrl+V";
  return (
    <section className={css.welcome}>
      <ChooseButton label={say("choose")} isFirst />
      <p>{say("orDrop", { keys })}</p>
      <p className={css.muted}>
        {info
          ? say("accepts", {
              formats: nameFormats(info.formats.input),
              mb: Math.floor(info.limits.max_file_bytes / 2 ** 20),
              mp: Math.floor(info.limits.max_pixels / 1e6),
            })
          : "\u00a0"}
      </p>
      <Samples />
    </section>
  );
}

function Samples() {
  const load = async (url: string, name: string) => {
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok) add([new File([await answer.blob()], name, { type: "image/jpeg" })]);
  };
  return (
    <p className={css.samples}>
      {say("samples")}{" "}
      {SAMPLES.map(({ url, name, label }) => (
        <button key={name} type="button" onClick={() => void load(url, name)}>
          {say(label)}
        </button>
      ))}
    </p>
  );
}

/** Where pictures go, and whether others could look on. */
export function Privacy() {
  return (
    <footer className={css.footer}>
      <p>{say("privacy", { host: location.host })}</p>
      {!isSecureContext && <p>{say("privacyOpen")}</p>}
      <p>
        <a href="./api/background-removal/docs">{say("apiDocs")}</a>
      </p>
    </footer>
  );
}

/** Takes files that are dropped anywhere or pasted, and shows that they may be let go. */
export function DropAndPaste() {
  const [isOver, setOver] = useState(false);
  useEffect(() => {
    const listening = new AbortController();
    const { signal } = listening;
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const over = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const drop = (event: DragEvent) => {
      setOver(false);
      if (!hasFiles(event)) return;
      event.preventDefault(); // else the browser would open the file in place of the page
      const items = [...(event.dataTransfer?.items ?? [])];
      const folders = items.map((item) => item.webkitGetAsEntry()?.isDirectory ?? false);
      add([...(event.dataTransfer?.files ?? [])].filter((_, i) => !folders[i]));
      if (folders.includes(true)) announce(say("saidFolder"), true);
    };
    const paste = (event: ClipboardEvent) => {
      const files = [...(event.clipboardData?.files ?? [])];
      const isText = event.target instanceof Element && event.target.closest("input");
      if (files.length > 0 || !isText) add(files);
    };
    addEventListener("dragover", over, { signal });
    addEventListener("dragleave", (event) => event.relatedTarget ?? setOver(false), { signal });
    addEventListener("drop", drop, { signal });
    addEventListener("paste", paste, { signal });
    return () => listening.abort();
  }, []);
  return isOver ? <p className={css.drop}>{say("dropHere")}</p> : null;
}
