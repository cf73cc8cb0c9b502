/** Runs a component's loads, and keeps only the answer to the latest one. */
export class Loading {
  #host;
  #turn = 0;
  busy = false;
  problem = null;
  value = null;

  constructor(host) {
    this.#host = host;
    host.addController(this);
  }

  hostDisconnected() {
    this.#turn += 1;
  }

  async run(work) {
    const turn = ++this.#turn;
    this.busy = true;
    this.problem = null;
    this.#host.requestUpdate();
    try {
      const value = await work();
      if (turn === this.#turn) this.value = value;
    } catch (problem) {
      if (turn === this.#turn) this.problem = problem;
    }
    if (turn !== this.#turn) return;
    this.busy = false;
    this.#host.requestUpdate();
  }
}
