// The search runs in a worker, and browsers start none for a page that was opened as a file.
// There, and only there, the same script runs in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class {
    #frame = document.createElement("iframe");
    #waiting = [];
    #ready = false;

    constructor(address) {
      this.#frame.hidden = true;
      document.body.append(this.#frame);
      const inside = this.#frame.contentWindow;
      // Messages are copies, as between threads: either side changes what it was sent.
      inside.postMessage = (sent) => {
        const data = structuredClone(sent);
        setTimeout(() => this.onmessage?.({ data }));
      };
      const script = inside.document.createElement("script");
      script.src = new URL(address, document.baseURI);
      script.onload = () => {
        this.#ready = true;
        this.#waiting.splice(0).forEach((data) => this.postMessage(data));
      };
      script.onerror = () => this.onerror?.(new ErrorEvent("error", { cancelable: true }));
      inside.document.body.append(script);
    }

    postMessage(sent) {
      const data = structuredClone(sent);
      if (this.#ready) setTimeout(() => this.#frame.contentWindow?.onmessage({ data }));
      else this.#waiting.push(data);
    }

    terminate() {
      this.#frame.remove();
    }
  };
}
