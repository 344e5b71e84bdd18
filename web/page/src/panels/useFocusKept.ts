import { useEffect } from "react";

/**
 * Where what had the focus has gone from the page, give it to what took its place: the open picture
 * of the list, or the button that chooses pictures.
 */
export function useFocusKept(): void {
  useEffect(() => {
    let last: Element | null = null;
    const note = (event: FocusEvent) => {
      last = event.target instanceof Element ? event.target : null;
    };
    const mend = () => {
      if (document.activeElement !== document.body || !last || last.isConnected) return;
      document.querySelector<HTMLElement>("[data-open][aria-current=true], [data-first]")?.focus();
    };
    const observer = new MutationObserver(mend);
    observer.observe(document.body, { childList: true, subtree: true });
    addEventListener("focusin", note);
    return () => {
      observer.disconnect();
      removeEventListener("focusin", note);
    };
  }, []);
}
