// A few seconds of camera now and then, in one recording; the camera is off between.

import { Camera, cameraTrouble } from "./camera.js";
import { Link } from "./link.js";
import { sentence } from "./words.js";

const $ = (id) => document.getElementById(id);
const FPS = 5;
let link = null, camera = null, waking = null, until = 0, looks = 0, recording = false, ending = null;

$("schedule").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (link) return;
  const mine = link = new Link("/live/frames?kind=scheduled", { heard, closed: (why) => { if (link === mine) stop(why); } });
  try {
    await mine.ready;
    mine.tell({ do: "record", name: $("name").value });
  } catch {
    // `stop` says why
  }
});

$("end").addEventListener("click", () => end("Ended."));
$("now").addEventListener("click", look);
addEventListener("pagehide", () => { camera?.close(); link?.close(); });

const answers = {
  recording(message) {
    if (message.recording === null) return stop(message.why ?? `${ending} The recording was saved.`);
    recording = true;
    looks = 0;
    until = Date.now() + 3600e3 * Number($("period").value);
    running(true);
    look();
  },
  said(message) {
    if (recording) say(message.words);
    else stop(message.words);
  },
  view(message) { $("words").textContent = sentence(message); },
  paused(message) { if (message.paused) end("The analysis is paused. Go on on the live page, and begin again."); },
};

function heard(message) { answers[message.is]?.(message); }

async function look() {
  clearTimeout(waking);
  if (!recording || ending || camera) return;
  if (Date.now() >= until) return end("The period is over.");
  const mine = camera = new Camera();
  const wanted = () => camera === mine && !ending;
  let trouble = "";
  try {
    await mine.open();
    if (wanted()) say(`Looking for ${$("look").value} seconds. The camera is on.`);
    const over = Date.now() + 1000 * Number($("look").value);
    await mine.run(FPS, async () => {
      if (Date.now() >= over || !wanted()) return mine.close();
      const taken = link.hasRoom ? mine.take() : null;
      if (taken) await link.send(taken.jpeg, true);
    });
    looks += 1;
  } catch (error) {
    trouble = cameraTrouble(error);
  }
  if (!wanted()) return;
  camera = null;
  next(trouble);
}

function next(trouble) {
  const wait = Math.min(60e3 * Number($("every").value), Math.max(until - Date.now(), 0));
  const at = new Date(Date.now() + wait).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  say(`${trouble} ${looks} ${looks === 1 ? "look" : "looks"} so far. The camera is off; the next is at ${at}.`.trim());
  waking = setTimeout(look, wait);
}

// The camera is off at once; what was recorded is saved when the app says so.
function end(why) {
  if (!recording) return stop(why);
  ending = why;
  clearTimeout(waking);
  camera?.close();
  link.tell({ do: "stop" });
  say(`${why} The recording is being saved …`);
}

function stop(why) {
  if (!link) return;
  clearTimeout(waking);
  camera?.close();
  link.close();
  link = camera = ending = null;
  recording = false;
  running(false);
  say(why);
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
