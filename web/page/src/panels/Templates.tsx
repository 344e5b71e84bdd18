import { useEffect, useState } from "react";
import { client, usePage } from "../store.js";
import { say } from "../strings.js";
import css from "./edit.module.css";

interface Template {
  id: string;
  name: string;
  thumbUrl: string;
}

/** The backgrounds of the service's library: its templates, and what the key's holder put there. */
export function Templates({
  chosen,
  onChoose,
}: {
  chosen: string | null;
  onChoose: (name: string, picture: Blob) => void;
}) {
  const [templates, setTemplates] = useState<readonly Template[]>([]);
  const [isGone, setGone] = useState(false);
  const key = usePage((state) => state.apiKey);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another key has other uploads
  useEffect(() => {
    const leaving = new AbortController();
    let made: Template[] = [];
    read(leaving.signal).then(
      (found) => {
        made = found;
        if (leaving.signal.aborted) return drop(made);
        setTemplates(found);
        setGone(false);
      },
      () => setGone(!leaving.signal.aborted),
    );
    return () => {
      leaving.abort();
      drop(made);
    };
  }, [key]);
  const choose = async ({ id, name }: Template) => {
    const picture = await client.backgroundPicture(id).catch(() => null);
    if (picture) onChoose(name, picture);
    else setGone(true);
  };
  if (isGone) return <p className={css.note}>{say("bgNoTemplates")}</p>;
  return (
    <fieldset className={css.templates}>
      <legend>{say("bgTemplates")}</legend>
      {templates.map((template) => (
        <button
          key={template.id}
          type="button"
          title={template.name}
          aria-label={template.name}
          aria-pressed={chosen === template.name}
          onClick={() => void choose(template)}
        >
          <img src={template.thumbUrl} alt="" width={56} height={42} />
        </button>
      ))}
    </fieldset>
  );
}

const drop = (templates: readonly Template[]) => {
  for (const { thumbUrl } of templates) URL.revokeObjectURL(thumbUrl);
};

// A key goes with each request, which an address in an `<img>` cannot have.
async function read(signal: AbortSignal): Promise<Template[]> {
  const { backgrounds } = await client.backgrounds(signal);
  return Promise.all(
    backgrounds.map(async ({ id, name }) => {
      const thumb = await client.backgroundThumbnail(id, signal);
      return { id, name, thumbUrl: URL.createObjectURL(thumb) };
    }),
  );
}
