import { set, usePage } from "../store.js";
import { say } from "../strings.js";
import css from "./panels.module.css";

/** The title, what runs here, and the two dialogs. */
export function Header() {
  const health = usePage((state) => state.service.health);
  const open = (dialog: "help" | "settings") => () => set({ dialog });
  return (
    <header className={css.header}>
      <h1>{say("title")}</h1>
      {health && (
        <p className={css.serves} title={say("servesTitle")}>
          {say("serves", { model: health.model, engine: `${health.engine} (${health.device})` })}
        </p>
      )}
      <button type="button" onClick={open("help")}>
        {say("help")}
      </button>
      <button type="button" onClick={open("settings")}>
        {say("settings")}
      </button>
    </header>
  );
}
