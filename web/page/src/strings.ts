/** Every text of the page. Another language is another table of this type. */

const english = {
  title: "Background removal",
  choose: "Choose pictures",
  add: "Add pictures",
  orDrop: "or drop them anywhere on this page, or paste them with {keys}",
  accepts: "{formats}, up to {mb} MB and {mp} megapixels",
  samples: "No picture at hand? Try one of these:",
  sampleAstronaut: "Astronaut",
  sampleCat: "Cat",
  sampleCup: "Cup",
  dropHere: "Let go to add the pictures",
  privacy:
    "Pictures go to {host} and nowhere else. Nothing is stored. Location and camera data are removed.",
  privacyOpen: "This connection is not encrypted: others on the network could look on.",

  serves: "{model} on {engine}",
  servesTitle: "What runs here",
  degraded: "The service runs, but with less than was asked for:",
  unhealthy: "The service is not ready:",
  lightModel: "A light model is at work ({model}). For finer edges, serve BiRefNet with:",
  down: "The service does not answer.",
  downFor: "Asking again in {n} s.",
  askNow: "Ask now",
  modelChoice: "Model",

  pictures: "Pictures",
  queued: "Waiting",
  shrinking: "Making it smaller",
  uploading: "Sending, {percent} %",
  working: "Removing the background",
  done: "Done",
  failed: "Failed",
  pausedRetry: "Trying again in {n} s",
  pausedFor: "Going on in {left}",
  nothingFound: "No subject was found in this picture.",
  counts: "{done} of {all} done",
  countsFailed: "{n} failed",
  pace: "This service takes {limit} pictures a minute. Going on in {n} s, about {left} left.",
  downloadAll: "Download all (ZIP)",
  packing: "Packing",
  clear: "Clear the list",
  retry: "Try again",
  retryFailed: "Try the failed ones again",
  cancel: "Cancel",
  takeOff: "Take off the list",
  undo: "Undo",
  takenOff: {
    one: "{n} picture was taken off the list",
    other: "{n} pictures were taken off the list",
  },
  hide: "Hide",
  fit: "Make it fit (as a JPEG)",
  otherFile: "Choose another picture",
  enterKey: "Enter a key",
  details: "Number for the operator of the service: {id}",

  original: "Original",
  half: "Half and half",
  cutout: "Cutout",
  divider: "Where the original ends and the cutout begins",
  originalOf: "Original of {name}",
  cutoutOf: "Cutout of {name}",
  noPreview: "This browser cannot show this kind of file; the service can read it.",
  viewGroup: "What is shown",
  zoomGroup: "Zoom",
  zoomIn: "Zoom in",
  zoomOut: "Zoom out",
  zoomFit: "Fit",
  zoomIs: "{percent} %",
  stage: "Picture. Arrow keys with Alt move it, plus and minus zoom.",
  took: "{total} ms: service {service}, sending and receiving {wire}, drawing {drawn}",

  backgroundGroup: "Background",
  bgNone: "Transparent",
  bgWhite: "White",
  bgBlack: "Black",
  bgColour: "Colour",
  bgGradient1: "Grey gradient",
  bgGradient2: "Blue gradient",
  bgGradient3: "Warm gradient",
  bgGradient4: "Green gradient",
  bgPick: "Pick a colour",
  bgNote: "The background is part of what you download and copy.",

  download: "Download",
  downloadPlain: "Download transparent",
  copy: "Copy",
  copied: "Copied",
  noCopy: "Copying needs https or localhost. Use Download here.",
  copyFailed: "The browser did not allow copying. Use Download.",

  help: "Help and keys",
  close: "Close",
  keysTitle: "Keys",
  keysOn: "Use single-key shortcuts",
  keysOnNote: "The ones without Ctrl; switch them off if they get in the way of your tools.",
  settings: "Settings",
  theme: "Appearance",
  themeSystem: "As the system",
  themeLight: "Light",
  themeDark: "Dark",
  apiKey: "API key",
  apiKeyNote: "Kept in the memory of this tab only; gone when you close or reload it.",
  apiKeySave: "Use this key",
  apiKeyForget: "Forget the key",
  apiDocs: "For programs: every route and option",

  keyPaste: "Paste pictures",
  keyChoose: "Choose pictures",
  keyDownload: "Download",
  keyZip: "Download all as ZIP",
  keyCopy: "Copy the result",
  keyNext: "Next picture",
  keyPrevious: "Previous picture",
  keyCompare: "Half and half, original, cutout in turn",
  keyOriginal: "Show the original while held",
  keyZoomIn: "Zoom in",
  keyZoomOut: "Zoom out",
  keyFit: "Fit the picture",
  keyFull: "Show at 100 %",
  keyPan: "Move the picture",
  keyBackground: "Next background",
  keyRemove: "Take the picture off the list",
  keyCancel: "Cancel, or close",
  keyHelp: "This list",

  errFormat: "The service does not take this kind of file{got}. It takes {formats}.",
  errHeic: "This is HEIC, which this service was not set up to read. Save it as JPEG first.",
  errAnimated: "This file has too many frames. Save one of them as a picture.",
  errBig: "The file has {mb} MB; the limit is {max} MB.",
  errPixels: "The picture is too large: {detail}",
  errSmall: "The picture is too small: at least {min} pixels a side are needed.",
  errCorrupt: "The file is damaged, or not a picture. Export it again.",
  errEmpty: "The file is empty.",
  errUnreadable: "The browser cannot read this file any more. Has it been moved or changed?",
  errSave: "This browser could not make the file. Download it transparent.",
  errZip: "This browser could not make the ZIP. Download the pictures one by one.",
  errBomb: "The file is packed too tightly to be opened safely. Save it as JPEG first.",
  errRate: "Too many pictures for this service's limit.",
  errBusy: "The service is busy.",
  errStopping: "The service is being stopped.",
  errLate: "It took longer than the service allows.",
  errUpload: "The picture arrived too slowly, and the service gave up.",
  errLost: "The connection was lost, or the service is not running.",
  errKeyNeeded: "This service wants an API key.",
  errKeyWrong: "The service does not know this API key.",
  errDenied: "The service does not allow this here.",
  errHost: "The service does not answer under this name ({host}). Its operator can allow it.",
  errRequest: "The service did not understand the request: {detail}",
  errTheirs: "Something went wrong in the service.",
  errNotOurs:
    "An answer came that is not from this service (HTTP {status}). A proxy may be in between.",
  errCancelled: "Cancelled.",
  errShrink:
    "This browser could not make the picture smaller. Export it smaller in another program.",
  errPage: "Something went wrong in this page. Reload it to go on.",

  saidAdded: { one: "{n} picture added", other: "{n} pictures added" },
  saidDone: { one: "{n} picture is done", other: "{n} pictures are done" },
  saidFailed: "{name}: {reason}",
  saidNothing: "There was no picture in what was dropped or pasted.",
  saidFolder: "Folders cannot be dropped here; drop the pictures in them.",
  minutes: { one: "{n} minute", other: "{n} minutes" },
  seconds: { one: "{n} second", other: "{n} seconds" },
} as const;

type Plural = { readonly one: string; readonly other: string };
/** The shape that every language has. */
export type Strings = {
  [K in keyof typeof english]: (typeof english)[K] extends string ? string : Plural;
};
export type StringKey = keyof Strings;
type Slots = Record<string, string | number>;

const table: Strings = english;
const plurals = new Intl.PluralRules("en");

/** A text with its `{slots}` filled; the plural is chosen by `n`. */
export function say(key: StringKey, slots: Slots = {}): string {
  const entry = table[key];
  const text = typeof entry === "string" ? entry : plural(entry, Number(slots.n));
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(slots[name] ?? whole));
}

function plural(entry: Plural, n: number): string {
  return plurals.select(n) === "one" ? entry.one : entry.other;
}

/** Seconds or minutes in words. */
export function inWords(seconds: number): string {
  const n = Math.ceil(seconds);
  return n < 90 ? say("seconds", { n }) : say("minutes", { n: Math.round(n / 60) });
}
