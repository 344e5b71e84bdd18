import { askHealth } from "../queue/watch.js";
import { usePage } from "../store.js";
import { say } from "../strings.js";
import css from "./panels.module.css";
import { useSecondsUntil } from "./useSecondsUntil.js";

/** What a person must know before anything else; nothing if all is well. */
export function Banners() {
  const { health, downUntil } = usePage((state) => state.service);
  if (downUntil !== null) return <Down until={downUntil} />;
  if (!health) return null;
  const isLight = !health.architecture.startsWith("BiRefNet") && health.device === "cpu";
  return (
    <>
      {health.status !== "healthy" && (
        <section className={css.banner} role="status" data-banner={health.status}>
          <p>{say(health.status)}</p>
          <ul>
            {health.reasons.map((reason) => (
              <li key={reason}>{reason}</li>
            ))}
          </ul>
        </section>
      )}
      {isLight && (
        <p className={css.hint} data-banner="light">
          {say("lightModel", { model: health.model })}{" "}
          <code>make serve BIREFNET_MODEL=BiRefNet-general-lite</code>
        </p>
      )}
    </>
  );
}

function Down({ until }: { until: number }) {
  const n = useSecondsUntil(until);
  return (
    <section className={css.banner} data-banner="down">
      <p role="alert" aria-atomic="true">
        {say("down", { n })}
      </p>
      <button type="button" onClick={() => void askHealth()}>
        {say("askNow")}
      </button>
    </section>
  );
}
