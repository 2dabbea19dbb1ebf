// What the pages send to the app on this machine: forms, files, and frames over a socket.

import { NO_ANSWER } from "./words.js";

// Frames; a new one waits for an answer.
const MOST_UNDER_WAY = 2;

// Posts, and gives the answer's body; fails with the app's words where it refuses, in whatever form they come.
export async function post(path, body) {
  const answer = await fetch(path, { method: "POST", body }).catch(() => null);
  if (!answer) throw new Error(NO_ANSWER);
  const isJson = answer.headers.get("content-type")?.startsWith("application/json");
  const said = isJson ? await answer.json() : { error: await answer.text() };
  if (!answer.ok) throw new Error(said.error);
  return said;
}

export class Link {
  #socket = null;
  #number = 0;
  #underWay = new Map();
  #why = "";

  // `heard` is told every message; `closed` why the socket closed.
  constructor(path, { heard, closed }) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.#socket = new WebSocket(`${scheme}://${location.host}${path}`);
    this.#socket.binaryType = "arraybuffer";
    this.ready = new Promise((resolve, reject) => {
      this.#socket.addEventListener("message", (event) => {
        const message = JSON.parse(event.data);
        if (message.is === "ready") resolve(message);
        if (message.is === "over") this.#why = message.why;
        const sent = message.frame === undefined ? undefined : this.#answered(message.frame);
        heard(message, sent);
      });
      this.#socket.addEventListener("close", () => {
        reject(new Error(this.#why || NO_ANSWER));
        closed(this.#why || "The connection to mien ended. Is it still running in the terminal?");
      });
    });
    this.ready.catch(() => {});
  }

  get hasRoom() { return this.#socket.readyState === WebSocket.OPEN && this.#underWay.size < MOST_UNDER_WAY; }

  tell(command) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(command));
  }

  // Sends a picture; `kept` comes back with its answer.
  async send(jpeg, kept) {
    this.#number = (this.#number + 1) >>> 0;
    const number = this.#number;
    this.#underWay.set(number, kept);
    const body = await (await jpeg).arrayBuffer();
    const message = new Uint8Array(body.byteLength + 4);
    new DataView(message.buffer).setUint32(0, number, true);
    message.set(new Uint8Array(body), 4);
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message);
  }

  // Frames that were passed over for a newer one get no answer of their own.
  forget() { this.#underWay.clear(); }

  // `why` is what `closed` is told, where the app gave no reason of its own.
  close(why = "") {
    this.#why ||= why;
    this.#socket.close();
  }

  #answered(number) {
    const kept = this.#underWay.get(number);
    for (const older of this.#underWay.keys()) if (older <= number) this.#underWay.delete(older);
    return kept;
  }
}
