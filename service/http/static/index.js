// The page works without this: the form then downloads the cutout.
const find = (id) => document.getElementById(id);

async function showState() {
  const state = find("state");
  try {
    const told = await (await fetch(state.dataset.url)).json();
    const why = told.reasons.length ? `: ${told.reasons.join("; ")}` : "";
    state.textContent = `${told.model} on ${told.engine} (${told.device}), ${told.status}${why}`;
  } catch {
    state.textContent = "The service does not say how it is.";
  }
}

function showCutout(cutout, disposition) {
  const image = find("cutout");
  const download = find("download");
  URL.revokeObjectURL(image.src);
  image.src = download.href = URL.createObjectURL(cutout);
  download.download = /filename="([^"]+)"/.exec(disposition)?.[1] ?? "cutout.png";
  find("result").hidden = false;
}

function say(text, bad = false) {
  const message = find("message");
  message.textContent = text;
  message.classList.toggle("bad", bad);
}

async function remove(event) {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button");
  button.disabled = true;
  say("Working…");
  try {
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
    if (answer.ok) {
      showCutout(await answer.blob(), answer.headers.get("Content-Disposition") ?? "");
      say("Done.");
    } else {
      say((await answer.json()).detail, true);
    }
  } catch {
    say("The service did not answer.", true);
  } finally {
    button.disabled = false;
  }
}

find("form").addEventListener("submit", remove);
find("command").textContent = find("command").textContent.replace(/http:\/\/[^/]+/, location.origin);
showState();
