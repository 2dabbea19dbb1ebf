// The live page: frames go to the app, and the frame that was read is drawn with what it showed.

import { Camera, cameraTrouble } from "./camera.js";
import { Link } from "./link.js";
import { colourOf, Picture } from "./draw.js";
import { couldBe, LOST, percent, sentence } from "./words.js";

const $ = (id) => document.getElementById(id);
const picture = new Picture($("picture"));
const camera = new Camera();
const bars = new Map([...$("bars").children].map((row) => [row.dataset.name, row]));
let link = null, paused = false, presence = "waiting", mapped = null, told = "", toldAt = 0, largest = null;

async function start() {
  cover("Opening the camera …");
  try {
    await camera.open();
  } catch (error) {
    cover(cameraTrouble(error), "Try again");
    return;
  }
  const mine = link = new Link("/live/frames", { heard, closed });
  try {
    const ready = await mine.ready;
    if (ready.others) say("Another tab of mien is analysing too.");
    for (const id of ["pause", "record", "map"]) $(id).disabled = false;
    cover(paused ? "Paused. Nothing is looked at." : null);
    if (!paused) sign(true);
    $("live").dataset.state = "running";
    await camera.run(ready.most_fps, async () => {
      if (paused || !mine.hasRoom) return;
      const taken = camera.take();
      if (taken) await mine.send(taken.jpeg, { canvas: taken.canvas, at: performance.now() });
    });
  } catch (error) {
    mine.close(cameraTrouble(error));  // `closed` says why
  }
}

const answers = {
  view(view, sent) {
    if (!sent || paused) return;
    mapped = $("map").ariaPressed === "true" ? view.map ?? mapped : null;
    const held = view.own?.held;
    picture.draw(sent.canvas, { ...view, map: view.own ? mapped : null }, colourOf(held));
    $("live").dataset.delay = Math.round(performance.now() - sent.at);
    presence = view.presence;
    largest = view.others.length ? view.others.reduce((a, b) => (a[2] > b[2] ? a : b)) : null;
    $("me").hidden = presence !== "lost" || !largest;
    if (largest) largest = { x: (largest[0] + largest[2] / 2) / view.size[0], y: (largest[1] + largest[3] / 2) / view.size[1] };
    $("words").textContent = sentence(view);
    $("could-be").textContent = couldBe(view.own);
    $("cover").hidden = presence !== "lost";
    if (presence === "lost") $("cover-words").textContent = LOST;
    $("start").hidden = true;
    showBars(view);
    tellAloud(view);
  },
  paused(message) {
    paused = message.paused;
    link.forget();
    $("pause").ariaPressed = String(paused);
    $("pause").firstChild.textContent = paused ? "Go on " : "Pause ";
    $("stage").classList.toggle("dim", paused);
    sign(!paused);
    cover(paused ? "Paused. Nothing is looked at." : null);
    if (paused) $("words").textContent = "Paused.";
  },
  recording(message) {
    showRecording(message.recording !== null);
    if (message.recording !== null) say("Recording: one line of numbers a second is kept, and no picture.");
    else if (message.why) say(message.why);
    else {
      say("The recording was saved. ");
      const to = document.createElement("a");
      to.href = `/recordings/${message.last}`;
      to.textContent = "Open it";
      $("said").append(to);
    }
  },
  bad(message) { say(`A picture could not be used: ${message.why}`); },
  said(message) { say(message.words); },
  ready() {},
  over() {},
};

function heard(message, sent) { answers[message.is](message, sent); }

function closed(why) {
  camera.close();
  link = null;
  sign(false);
  $("live").dataset.state = "over";
  $("stage").classList.add("dim");
  for (const id of ["pause", "record", "map"]) $(id).disabled = true;
  $("me").hidden = true;
  if ($("record").ariaPressed === "true") say("The recording has ended too.");
  showRecording(false);
  cover(why, "Open the camera again");
}

function showRecording(on) {
  $("record").ariaPressed = String(on);
  $("record").firstChild.textContent = on ? "Stop recording " : "Record ";
  $("note-form").hidden = !on;
}

function showBars(view) {
  for (const [name, row] of bars) {
    const share = view.own?.bars?.[name];
    row.querySelector(".fill").style.setProperty("--share", share ?? 0);
    row.querySelector(".value").textContent = share === undefined ? "–" : percent(share);
    row.classList.toggle("likely", view.own?.candidates.includes(name) ?? false);
  }
}

// What changed, aloud; not every number, and not more often than one can listen.
function tellAloud(view) {
  const words = view.own?.held ? `An expression like ${view.own.held}` : sentence(view);
  if (words === told || performance.now() - toldAt < 2000) return;
  [told, toldAt] = [words, performance.now()];
  $("aloud").textContent = words;
}

function sign(on) {
  $("sign").textContent = on ? "Analysing" : paused ? "Paused" : "Not analysing";
  $("sign").classList.toggle("off", !on);
  document.title = on ? "● Analysing · mien" : "Live · mien";
}

function cover(words, again) {
  $("cover").hidden = words === null;
  $("cover-words").textContent = words ?? "";
  $("start").hidden = !again;
  if (again) $("start").textContent = again;
}

function say(words) {
  $("said").textContent = words;
  $("said").hidden = false;
}

function toggle(id) {
  if (!link || $(id).disabled) return;
  const on = $(id).ariaPressed === "true";
  if (id === "pause") link.tell({ do: on ? "resume" : "pause" });
  if (id === "record") link.tell(on ? { do: "stop" } : { do: "record" });
  if (id === "map") {
    link.tell({ do: "map", on: !on });
    $("map").ariaPressed = String(!on);
    mapped = null;
  }
}

$("start").addEventListener("click", start);
for (const id of ["pause", "record", "map"]) $(id).addEventListener("click", () => toggle(id));
$("me").addEventListener("click", () => { if (largest) link?.tell({ do: "point", ...largest }); });
$("stage").addEventListener("click", (event) => {
  const point = event.target.closest("button") ? null : picture.at(event);
  if (point) link?.tell({ do: "point", ...point });
});
$("note-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("note").value.trim()) link?.tell({ do: "note", text: $("note").value });
  $("note").value = "";
});
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const id = { p: "pause", r: "record", o: "map" }[event.key.toLowerCase()];
  if (id) toggle(id);
});
addEventListener("pagehide", () => { camera.close(); link?.close(); });
