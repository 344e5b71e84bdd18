import { type ReactNode, useEffect, useRef, useState } from "react";
import { KEYS, onAction } from "../keys.js";
import { changeKey } from "../queue/runner.js";
import { chooseTheme, get, set, switchSingleKeys, type Theme, usePage } from "../store.js";
import { type StringKey, say } from "../strings.js";
import css from "./panels.module.css";

/** The dialog that is open, if one is. */
export function Dialogs() {
  const dialog = usePage((state) => state.dialog);
  useEffect(() => onAction("help", () => set({ dialog: "help" })));
  if (dialog === "help") return <Help />;
  return dialog === "settings" ? <Settings /> : null;
}

function Frame({ title, children }: { title: string; children: ReactNode }) {
  const frame = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const opener = document.activeElement;
    frame.current?.showModal();
    return () => {
      if (opener instanceof HTMLElement) opener.focus();
    };
  }, []);
  return (
    <dialog ref={frame} className={css.dialog} aria-label={title} onClose={close}>
      <h2>{title}</h2>
      {children}
      <p className={css.actions}>
        <button type="button" onClick={close}>
          {say("close")}
        </button>
      </p>
    </dialog>
  );
}

const close = () => set({ dialog: null });

function Help() {
  const singleKeys = usePage((state) => state.singleKeys);
  const rows = [{ keys: "Ctrl+V", says: "keyPaste" } as const, ...KEYS];
  return (
    <Frame title={say("help")}>
      <table className={css.keys}>
        <caption className="hidden">{say("keysTitle")}</caption>
        <tbody>
          {rows.map(({ keys, says }) => (
            <tr key={keys}>
              <th scope="row">
                <kbd>{keys}</kbd>
              </th>
              <td>{say(says)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <label className={css.check}>
        <input
          type="checkbox"
          checked={singleKeys}
          onChange={({ target }) => switchSingleKeys(target.checked)}
        />
        {say("keysOn")}
      </label>
      <p className={css.muted}>{say("keysOnNote")}</p>
    </Frame>
  );
}

const THEMES: Readonly<Record<Theme, StringKey>> = {
  system: "themeSystem",
  light: "themeLight",
  dark: "themeDark",
};

function Settings() {
  const theme = usePage((state) => state.theme);
  return (
    <Frame title={say("settings")}>
      <fieldset className={css.themes}>
        <legend>{say("theme")}</legend>
        {(Object.keys(THEMES) as Theme[]).map((name) => (
          <label key={name} className={css.check}>
            <input
              type="radio"
              name="theme"
              checked={theme === name}
              onChange={() => chooseTheme(name)}
            />
            {say(THEMES[name])}
          </label>
        ))}
      </fieldset>
      <ApiKey />
    </Frame>
  );
}

function ApiKey() {
  const [draft, setDraft] = useState(get().apiKey);
  const use = (apiKey: string) => {
    setDraft(apiKey);
    changeKey(apiKey);
    close();
  };
  return (
    <form
      className={css.key}
      onSubmit={(event) => {
        event.preventDefault();
        use(draft.trim());
      }}
    >
      <label htmlFor="api-key">{say("apiKey")}</label>
      <input
        id="api-key"
        type="password"
        autoComplete="off"
        spellCheck={false}
        value={draft}
        onChange={({ target }) => setDraft(target.value)}
        aria-describedby="api-key-note"
      />
      <p id="api-key-note" className={css.muted}>
        {say("apiKeyNote")}
      </p>
      <p className={css.actions}>
        <button type="submit">{say("apiKeySave")}</button>
        <button type="button" onClick={() => use("")}>
          {say("apiKeyForget")}
        </button>
      </p>
    </form>
  );
}
