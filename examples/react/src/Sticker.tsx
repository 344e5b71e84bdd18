import { useBackgroundRemoval } from "birefnet-background-removal";

export function Sticker() {
  const { removeBackground, processing, processedUrl, error, cancel } = useBackgroundRemoval({
    options: { preset: "sticker" },
  });
  return (
    <section>
      <label>
        A picture for a sticker
        <input
          type="file"
          accept="image/*"
          onChange={({ target }) => target.files?.[0] && removeBackground(target.files[0])}
        />
      </label>
      {processing && <button onClick={cancel}>Cancel</button>}
      {error && <p role="alert">{error}</p>}
      {processedUrl && <img src={processedUrl} alt="Your sticker" />}
    </section>
  );
}
