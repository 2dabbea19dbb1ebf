// A file goes to the app on this machine, and what was read comes back; nothing of it is kept.

import { colourOf } from "./draw.js";
import { post } from "./link.js";
import { couldBe, expressionLike, listed, notMeasurable, percent } from "./words.js";

const $ = (id) => document.getElementById(id);

$("upload").addEventListener("submit", async (event) => {
  event.preventDefault();
  const file = $("file").files[0];
  $("results").hidden = true;
  const kind = file.type.startsWith("image/") ? "picture" : "video", most = Number($("upload").dataset[kind]);
  if (file.size > most) return state(`The ${kind} has ${megabytes(file.size)}; at most ${megabytes(most)} are taken.`);
  state("Reading …");
  $("upload").querySelector("button").disabled = true;
  try {
    const { frames } = await post("/upload/read?agreed=yes", file);
    await show(file, frames);
  } catch (error) {
    state(error.message);
  } finally {
    $("upload").querySelector("button").disabled = false;
  }
});

async function show(file, frames) {
  const isVideo = frames.length > 0 && frames[0].time !== null;
  $("results").hidden = false;
  $("shown").hidden = $("faces").hidden = isVideo;
  $("course").hidden = !isVideo;
  if (isVideo) showCourse(frames);
  else await showPicture(file, frames[0]);
}

async function showPicture(file, frame) {
  const count = frame.faces.length;
  state(count === 0 ? "No face was found in it." : `Read and forgotten: ${count} ${count === 1 ? "face" : "faces"}.`);
  $("faces").replaceChildren(...frame.faces.map(card));
  const picture = await createImageBitmap(file).catch(() => null);
  $("shown").hidden = !picture;
  if (!picture) return;
  const canvas = $("picture"), scale = Math.min(1200 / frame.width, 1), context = canvas.getContext("2d");
  canvas.width = Math.round(frame.width * scale);
  canvas.height = Math.round(frame.height * scale);
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  frame.faces.forEach((face, index) => mark(context, face, index, scale, count > 1));
}

function mark(context, face, index, scale, numbered) {
  const [x, y, width, height] = face.box.map((value) => value * scale);
  const unit = Math.max(context.canvas.width / 400, 2);
  for (const [line, ink] of [[2 * unit, "rgb(14 17 19 / 70%)"], [unit, colourOf(face.readings[0]?.expression)]]) {
    context.lineWidth = line;
    context.strokeStyle = ink;
    context.strokeRect(x, y, width, height);
  }
  if (!numbered) return;
  context.font = `600 ${8 * unit}px system-ui, sans-serif`;
  context.fillStyle = "#0e1113";
  context.fillRect(x, y, 9 * unit, 10 * unit);
  context.fillStyle = "#ffffff";
  context.fillText(String(index + 1), x + 2 * unit, y + 8 * unit);
}

function card(face, index, all) {
  const made = $("face").content.cloneNode(true), reading = face.unmeasurable ? undefined : face.readings[0];
  made.querySelector("h2").textContent = all.length > 1 ? `Face ${index + 1}` : "The face";
  made.querySelector(".reading").textContent = reading ? expressionLike(reading.expression, reading.confidence) : notMeasurable(face.unmeasurable);
  made.querySelector(".could-be").textContent = couldBe(reading);
  if (!reading) return made;
  for (const row of made.querySelectorAll("li")) {
    const share = reading.probabilities[row.dataset.name] ?? 0;
    row.querySelector(".fill").style.setProperty("--share", share);
    row.querySelector(".value").textContent = percent(share);
    row.classList.toggle("likely", reading.candidates.includes(row.dataset.name));
  }
  return made;
}

function showCourse(frames) {
  const rows = frames.flatMap((frame) => frame.faces.map((face) => [frame.time, face]));
  state(rows.length ? "Read and forgotten." : "No face was found in it.");
  $("course").hidden = !rows.length;
  $("rows").replaceChildren(...rows.map(([time, face]) => {
    const row = document.createElement("tr");
    const held = face.track.held, smoothed = face.track.smoothed;
    const told = face.unmeasurable || !smoothed ? notMeasurable(face.unmeasurable ?? "not long enough in view")
      : held ? expressionLike(held, smoothed.probabilities[held]) : `Uncertain: it could be ${listed(smoothed.candidates)}.`;
    for (const text of [`${time.toFixed(1)} s`, String(face.track.id), told]) row.append(Object.assign(document.createElement("td"), { textContent: text }));
    return row;
  }));
}

function megabytes(bytes) { return `${Math.ceil(bytes / 1e5) / 10} MB`; }

function state(text) { $("state").textContent = text; }
