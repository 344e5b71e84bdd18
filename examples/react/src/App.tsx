import { BackgroundRemoval } from "birefnet-background-removal";
import "birefnet-background-removal/styles.css";
import { Sticker } from "./Sticker";

export function App() {
  return (
    <main>
      <h1>Cutouts</h1>
      <BackgroundRemoval />
      <h2>Stickers</h2>
      <Sticker />
    </main>
  );
}
