// The camera, and its pictures as small JPEGs. Nothing here leaves this machine.

const WIDTH = 640;

export class Camera {
  #video = document.createElement("video");
  #stream = null;
  #lost = false;

  async open() {
    this.#stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { width: { ideal: WIDTH }, height: { ideal: 480 }, frameRate: { ideal: 15, max: 30 }, facingMode: "user" },
    });
    this.#lost = false;
    this.#stream.getVideoTracks()[0].addEventListener("ended", () => {
      this.#lost = true;
      this.close();
    });
    this.#video.muted = true;
    this.#video.playsInline = true;
    this.#video.srcObject = this.#stream;
    await this.#video.play();
  }

  get isOpen() { return this.#stream !== null; }

  close() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
    this.#video.srcObject = null;
  }

  // Runs `work` at most `fps` times a second while the camera is open; `work` takes a picture where it wants one.
  // Fails where the camera was taken away meanwhile.
  async run(fps, work) {
    const least = 1000 / fps;
    let last = -Infinity;
    while (this.isOpen) {
      await this.#next(least / 3);
      const now = performance.now();
      if (!this.isOpen || now - last < least * 0.9) continue;
      last = now;
      await work();
    }
    if (this.#lost) throw new DOMException("it was taken away", "LostError");
  }

  // The picture at this moment: a canvas to show, and a promise of the JPEG to send.
  take() {
    const width = Math.min(this.#video.videoWidth, WIDTH);
    if (!width) return null;
    const canvas = new OffscreenCanvas(width, Math.round(width * this.#video.videoHeight / this.#video.videoWidth));
    canvas.getContext("2d").drawImage(this.#video, 0, 0, canvas.width, canvas.height);
    return { canvas, jpeg: canvas.convertToBlob({ type: "image/jpeg", quality: 0.8 }) };
  }

  #next(wait) {
    return new Promise((resolve) => setTimeout(resolve, wait));
  }
}

export function cameraTrouble(error) {
  if (error.name === "NotAllowedError") return "The browser does not let mien use the camera. Allow it beside the address, and try again.";
  if (error.name === "NotFoundError") return "No camera was found. Plug one in, and try again.";
  if (error.name === "NotReadableError") return "The camera is in use by another program or tab. Close that, and try again.";
  if (error.name === "LostError") return "The camera was unplugged, or the browser took it away. Nothing is read any more.";
  return `The camera cannot be used: ${error.message}`;
}
