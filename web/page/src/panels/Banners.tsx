import { useState } from "react";
import { askHealth } from "../queue/watch.js";
import { recall, remember } from "../remembered.js";
import { usePage } from "../store.js";
import { say } from "../strings.js";
import css from "./panels.module.css";
import { useSecondsUntil } from "./useSecondsUntil.js";

/** What a person must know before anything else; nothing if all is well. */
export function Banners() {
  const { health, downUntil } = usePage((state) => state.service);
  if (downUntil !== null) return <Down until={downUntil} />;
  if (!health) return null;
  const reasons = health.reasons.filter((reason) => reason !== ONLY_LIGHT);
  return (
    <>
      {reasons.length > 0 && (
        <section className={css.banner} role="status" data-banner={health.status}>
          <p>{say(health.status === "unhealthy" ? "unhealthy" : "degraded")}</p>
          <ul>
            {reasons.map((reason) => (
              <li key={reason}>{reason}</li>
            ))}
          </ul>
        </section>
      )}
      {!health.architecture.startsWith("BiRefNet") && <LightModel model={health.model} />}
    </>
  );
}

// The service's own words; the hint below says the same, with what to do.
const ONLY_LIGHT = "only a light model is registered";

function LightModel({ model }: { model: string }) {
  const [isHidden, setHidden] = useState(
    () => recall("lightModel", ["shown", "hidden"]) === "hidden",
  );
  if (isHidden) return null;
  const hide = () => {
    remember("lightModel", "hidden");
    setHidden(true);
  };
  return (
    <section className={css.hint} aria-label={say("servesTitle")} data-banner="light">
      <p>
        {say("lightModel", { model })} <code>make serve BIREFNET_MODEL=BiRefNet-general-lite</code>
      </p>
      <button type="button" onClick={hide}>
        {say("hide")}
      </button>
    </section>
  );
}

function Down({ until }: { until: number }) {
  const n = useSecondsUntil(until);
  return (
    <section className={css.banner} data-banner="down">
      <p role="alert">{say("down")}</p>
      <p>{say("downFor", { n })}</p>
      <button type="button" onClick={() => void askHealth()}>
        {say("askNow")}
      </button>
    </section>
  );
}
