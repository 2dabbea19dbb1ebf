// The picture that was read, mirrored as people know themselves, with other faces covered.

const SOFT = document.createElement("canvas");
SOFT.width = SOFT.height = 7;

export class Picture {
  #canvas;
  #context;

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
  }

  // Everything of one answer: the frame it is about, the boxes, and what the network looked at.
  draw(frame, view, colour) {
    const context = this.#context;
    this.#canvas.width = frame.width;
    this.#canvas.height = frame.height;
    context.save();
    context.translate(frame.width, 0);
    context.scale(-1, 1);
    context.drawImage(frame, 0, 0);
    for (const box of view.others) this.#cover(frame, box);
    if (view.map) this.#lay(view.map);
    if (view.own) this.#corners(view.own.box, view.own.unmeasurable ? "#c9ced2" : colour);
    context.restore();
    if (view.own?.bars) this.#bars(view.own, frame);
  }

  // A point of the page as shares of the frame's width and height.
  at(event) {
    const area = this.#canvas.getBoundingClientRect();
    const scale = Math.min(area.width / this.#canvas.width, area.height / this.#canvas.height);
    const left = area.left + (area.width - scale * this.#canvas.width) / 2;
    const top = area.top + (area.height - scale * this.#canvas.height) / 2;
    const x = 1 - (event.clientX - left) / (scale * this.#canvas.width);
    const y = (event.clientY - top) / (scale * this.#canvas.height);
    return x >= 0 && x <= 1 && y >= 0 && y <= 1 ? { x, y } : null;
  }

  // A face as seven by seven averages: nobody can be made out in it.
  #cover(frame, [x, y, width, height]) {
    const grown = [x - 0.25 * width, y - 0.35 * height, 1.5 * width, 1.7 * height];
    const left = Math.max(grown[0], 0), top = Math.max(grown[1], 0);
    const right = Math.min(grown[0] + grown[2], frame.width), bottom = Math.min(grown[1] + grown[3], frame.height);
    if (right - left < 1 || bottom - top < 1) return;
    const soft = SOFT.getContext("2d");
    soft.imageSmoothingQuality = "high";
    soft.drawImage(frame, left, top, right - left, bottom - top, 0, 0, SOFT.width, SOFT.height);
    this.#context.drawImage(SOFT, left, top, right - left, bottom - top);
  }

  // All smoothed probabilities beside the face, on the side that has room.
  #bars({ box: [x, y, width, height], bars, held }, frame) {
    const context = this.#context, unit = Math.max(frame.width / 640, 0.75);
    const row = 15 * unit, wide = 132 * unit, names = Object.keys(bars), tall = row * names.length + 10 * unit;
    const left = frame.width - x - width;  // the picture is mirrored, the letters are not
    const right = left + width + 10 * unit;
    const at = right + wide <= frame.width ? right : left - wide - 10 * unit;
    if (at < 0) return;
    const top = Math.min(Math.max(y + height / 2 - tall / 2, 0), frame.height - tall);
    context.fillStyle = "rgb(14 17 19 / 78%)";
    context.beginPath();
    context.roundRect(at, top, wide, tall, 6 * unit);
    context.fill();
    context.textBaseline = "middle";
    names.forEach((name, index) => {
      const middle = top + 5 * unit + row * (index + 0.5);
      context.font = `${name === held ? 700 : 400} ${11 * unit}px system-ui, sans-serif`;
      context.fillStyle = "#ffffff";
      context.fillText(name, at + 8 * unit, middle);
      context.fillStyle = "rgb(255 255 255 / 18%)";
      context.fillRect(at + 64 * unit, middle - 3 * unit, 60 * unit, 6 * unit);
      context.fillStyle = colourOf(name);
      context.fillRect(at + 64 * unit, middle - 3 * unit, 60 * unit * bars[name], 6 * unit);
    });
  }

  #corners([x, y, width, height], colour) {
    const context = this.#context, arm = 0.22 * width;
    context.lineCap = "round";
    for (const [line, ink] of [[6, "rgb(14 17 19 / 70%)"], [3, colour]]) {
      context.lineWidth = line;
      context.strokeStyle = ink;
      context.beginPath();
      for (const [cx, cy, dx, dy] of [[x, y, 1, 1], [x + width, y, -1, 1], [x, y + height, 1, -1], [x + width, y + height, -1, -1]]) {
        context.moveTo(cx + dx * arm, cy);
        context.lineTo(cx, cy);
        context.lineTo(cx, cy + dy * arm);
      }
      context.stroke();
    }
  }

  // The map as a veil that is clear where the network looked.
  #lay({ shares, corners: [topLeft, topRight, bottomLeft] }) {
    const rows = shares.length, columns = shares[0].length;
    const map = new OffscreenCanvas(columns, rows);
    const pixels = new ImageData(columns, rows);
    shares.flat().forEach((share, index) => pixels.data.set([255, 196, 60, Math.round(190 * share)], 4 * index));
    map.getContext("2d").putImageData(pixels, 0, 0);
    const context = this.#context;
    context.save();
    context.transform(
      (topRight[0] - topLeft[0]) / columns, (topRight[1] - topLeft[1]) / columns,
      (bottomLeft[0] - topLeft[0]) / rows, (bottomLeft[1] - topLeft[1]) / rows, topLeft[0], topLeft[1]);
    context.imageSmoothingQuality = "high";
    context.drawImage(map, 0, 0);
    context.restore();
  }
}

export function colourOf(name) {
  return name ? getComputedStyle(document.documentElement).getPropertyValue(`--${name}`) : "#ffffff";
}
