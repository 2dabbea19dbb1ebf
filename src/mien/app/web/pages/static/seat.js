// A participant's seat: taps, how it stands with the room, and the own reading, which only they see.

import { Camera, cameraTrouble } from "./camera.js";
import { colourOf, Picture } from "./draw.js";
import { Link, post } from "./link.js";
import { NO_ANSWER, sentence } from "./words.js";

const $ = (id) => document.getElementById(id);
let link = null, camera = null, paused = false;

for (const button of document.querySelectorAll(".tap")) {
  button.addEventListener("click", async () => {
    try {
      const { counted } = await post("/rooms/tap", new URLSearchParams({ pace: button.dataset.pace }));
      $("tapped").textContent = counted ? "Your tap was sent." : "Your tap was sent; one counts in each half minute, once the room is complete.";
    } catch (error) {
      $("tapped").textContent = error.message;
    }
  });
}

async function look() {
  try {
    const body = await (await fetch("/rooms/seat.json")).json();
    $("state").textContent = [`You are ${body.state === "joined" ? "in the room" : body.state}.`, ...body.said.slice(-1)].join(" ");
    if (body.going_on) setTimeout(look, 3000);
    else stop("The room has ended for you. Nothing is sent.");
  } catch {
    $("state").textContent = NO_ANSWER;
  }
}

async function start() {
  camera = new Camera();
  try {
    await camera.open();
  } catch (error) {
    camera = null;
    cover(cameraTrouble(error), "Try again");
    return;
  }
  const picture = new Picture($("picture"));
  const mine = link = new Link("/live/frames?kind=room", {
    heard(message, sent) {
      if (message.is === "paused") pausedTo(message.paused);
      if (message.is !== "view" || !sent || paused) return;
      picture.draw(sent.canvas, message, colourOf(message.own?.held));
      $("words").textContent = sentence(message);
    },
    closed: stop,
  });
  try {
    const ready = await mine.ready;
    $("pause").disabled = false;
    $("reading").dataset.state = "running";
    cover(null);
    sign(true);
    await camera.run(Math.min(ready.most_fps, 10), async () => {
      const taken = !paused && mine.hasRoom ? camera.take() : null;
      if (taken) await mine.send(taken.jpeg, { canvas: taken.canvas });
    });
  } catch (error) {
    mine.close(cameraTrouble(error));  // `stop` says why
  }
}

function stop(why) {
  camera?.close();
  link?.close(why);
  camera = link = null;
  if (!$("reading")) return;
  $("reading").dataset.state = "over";
  $("pause").disabled = true;
  sign(false);
  cover(why, "Open the camera again");
}

function pausedTo(now) {
  paused = now;
  link?.forget();
  $("pause").ariaPressed = String(paused);
  $("pause").textContent = paused ? "Go on" : "Pause";
  $("stage").classList.toggle("dim", paused);
  $("words").textContent = paused ? "Paused. Nothing is read." : "";
  sign(!paused);
}

function sign(on) {
  $("sign").textContent = on ? "Analysing" : paused ? "Paused" : "Not analysing";
  $("sign").classList.toggle("off", !on);
}

function cover(words, again) {
  $("cover").hidden = words === null;
  $("cover-words").textContent = words ?? "";
  if (again) $("start").textContent = again;
}

$("start")?.addEventListener("click", start);
$("pause")?.addEventListener("click", () => link?.tell({ do: paused ? "resume" : "pause" }));
addEventListener("pagehide", () => { camera?.close(); link?.close(); });
look();
