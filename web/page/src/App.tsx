import { Component, type ReactNode, useEffect } from "react";
import { onAction } from "./keys.js";
import { Announcer, Toast } from "./panels/Announcer.js";
import { Banners } from "./panels/Banners.js";
import { DropAndPaste, Privacy, Welcome } from "./panels/Chooser.js";
import { Dialogs } from "./panels/Dialogs.js";
import { Header } from "./panels/Header.js";
import { List } from "./panels/List.js";
import { Open } from "./panels/Open.js";
import css from "./panels/panels.module.css";
import { Toolbar } from "./panels/Toolbar.js";
import { useFocusKept } from "./panels/useFocusKept.js";
import { get, set, usePage } from "./store.js";
import { say } from "./strings.js";

/** The whole page. */
export function App() {
  const theme = usePage((state) => state.theme);
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  useEffect(() => onAction("compare", turnView), []);
  useFocusKept();
  return (
    <Guard>
      <Header />
      <main className={css.main}>
        <Banners />
        <Content />
      </main>
      <Privacy />
      <DropAndPaste />
      <Dialogs />
      <Toast />
      <Announcer />
    </Guard>
  );
}

function Content() {
  const isEmpty = usePage((state) => state.pictures.length === 0);
  const open = usePage((state) => state.pictures.find((one) => one.id === state.openId));
  if (isEmpty) return <Welcome />;
  return (
    <>
      <Toolbar />
      <div className={css.bench}>
        <List />
        {open && <Open picture={open} />}
      </div>
    </>
  );
}

// Half and half, cutout, original, and again.
function turnView(): void {
  const { split } = get();
  set({ split: split === 0 ? 50 : split === 100 ? 0 : 100 });
}

/** A fault of the page says so, in place of an empty one. */
class Guard extends Component<{ children: ReactNode }, { isBroken: boolean }> {
  override state = { isBroken: false };

  static getDerivedStateFromError() {
    return { isBroken: true };
  }

  override render() {
    return this.state.isBroken ? <p role="alert">{say("errPage")}</p> : this.props.children;
  }
}
