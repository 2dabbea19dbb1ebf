// The room as whoever opened it sees it, asked for every few seconds.

import { NO_ANSWER } from "./words.js";

const $ = (id) => document.getElementById(id);
const SHARES = $("rows").dataset.shares.split(",").filter(Boolean);  // none in a room of taps
const PACES = $("rows").dataset.paces.split(",");
let shown = -1;

async function look() {
  try {
    const answer = await fetch("/rooms/host.json");
    if (!answer.ok) throw new Error();
    show(await answer.json());
  } catch {
    $("state").textContent = NO_ANSWER;
  }
  setTimeout(look, 3000);
}

function show(view) {
  const last = view.reports.at(-1);
  const next = view.next_in === null ? "" : ` The next half minute can be shown in ${Math.ceil(view.next_in)} s at the earliest.`;
  $("state").textContent = view.waiting || (last ? `${last.people} people.${next}` : next.trim());
  if (view.reports.length === shown) return;
  shown = view.reports.length;
  $("course").hidden = !last;
  $("latest").replaceChildren(...(last ? [bars(last)] : []));
  $("hints").replaceChildren(...view.hints.map(hint));
  $("rows").replaceChildren(...[...view.reports].reverse().map(row));
}

function bars(report) {
  const list = document.createElement("ul");
  list.className = "bars";
  const entries = report.shares ? SHARES.map((name) => [name, report.shares[name] ?? 0]) : [];
  for (const [name, share] of entries) {
    const item = document.createElement("li");
    item.append(part("span", "name", name), track(name, share), part("span", "value", `${Math.round(100 * share)} %`));
    list.append(item);
  }
  for (const pace of PACES) {
    const item = document.createElement("li");
    item.append(part("span", "name", pace), part("span", "", ""), part("span", "value", String(report.taps[pace])));
    list.append(item);
  }
  return list;
}

function track(name, share) {
  const outer = part("span", "track", "");
  const inner = part("span", `fill ${name.replace(" ", "-")}`, "");
  inner.style.setProperty("--share", share);
  outer.append(inner);
  return outer;
}

function hint(one) {
  const box = part("div", "note", "");
  box.append(part("strong", "", one.title), part("p", "", one.suggest), part("p", "small soft", one.why));
  return box;
}

function row(report) {
  const made = document.createElement("tr");
  made.append(part("td", "", `${clock(report.start)} to ${clock(report.end)}`), part("td", "", report.people));
  for (const name of SHARES) made.append(part("td", "number", report.shares ? `${Math.round(100 * report.shares[name])} %` : "–"));
  for (const pace of PACES) made.append(part("td", "number", String(report.taps[pace])));
  return made;
}

function clock(seconds) { return `${Math.floor(seconds / 60)}:${String(Math.round(seconds % 60)).padStart(2, "0")}`; }

function part(kind, name, text) { return Object.assign(document.createElement(kind), { className: name, textContent: text }); }

look();
