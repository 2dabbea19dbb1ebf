// A few seconds of camera now and then, in one recording; the camera is off between.

import { Camera, cameraTrouble } from "./camera.js";
import { Link } from "./link.js";
import { sentence } from "./words.js";

const $ = (id) => document.getElementById(id);
const FPS = 5;
let link = null, camera = null, waking = null, until = 0, looks = 0;

$("schedule").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (link) return;
  looks = 0;
  until = Date.now() + 3600e3 * Number($("period").value);
  link = new Link("/live/frames?kind=scheduled", { heard, closed: (why) => stop(why) });
  try {
    await link.ready;
  } catch {
    return;  // `closed` says why
  }
  link.tell({ do: "record", name: $("name").value });
  running(true);
  await look();
});

$("end").addEventListener("click", () => stop("Ended."));
$("now").addEventListener("click", look);
addEventListener("pagehide", () => stop("Ended."));

async function look() {
  clearTimeout(waking);
  if (!link || camera) return;
  if (Date.now() >= until) return stop("The period is over. The recording was saved.");
  camera = new Camera();
  try {
    await camera.open();
  } catch (error) {
    camera = null;
    next(cameraTrouble(error));
    return;
  }
  const mine = camera;
  say(`Looking for ${$("look").value} seconds. The camera is on.`);
  const end = Date.now() + 1000 * Number($("look").value);
  await mine.run(FPS, async () => {
    if (Date.now() >= end || !link) return mine.close();
    const taken = link.hasRoom ? mine.take() : null;
    if (taken) await link.send(taken.jpeg, true);
  });
  camera = null;
  if (!link) return;
  looks += 1;
  next("");
}

function next(trouble) {
  const wait = Math.min(60e3 * Number($("every").value), Math.max(until - Date.now(), 0));
  const at = new Date(Date.now() + wait).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  say(`${trouble} ${looks} ${looks === 1 ? "look" : "looks"} so far. The camera is off; the next is at ${at}.`.trim());
  waking = setTimeout(look, wait);
}

function heard(message) {
  if (message.is === "view") $("words").textContent = sentence(message);
  if (message.is === "said") say(message.words);
  if (message.is === "paused" && message.paused) stop("The analysis is paused. Go on on the live page, and begin again.");
}

function stop(why) {
  clearTimeout(waking);
  camera?.close();
  const was = link;
  link = null;
  was?.tell({ do: "stop" });
  was?.close();
  running(false);
  if (was) say(why);
  $("words").textContent = "";
}

function running(on) {
  $("schedule").dataset.state = on ? "running" : "idle";
  $("begin").hidden = on;
  $("now").hidden = $("end").hidden = !on;
  for (const id of ["every", "look", "period", "name"]) $(id).disabled = on;
  document.title = on ? "● Recording on a schedule · mien" : "Record on a schedule · mien";
}

function say(words) { $("state").textContent = words; }
