/** One line on a terminal that shows how a load goes, with speed and time left; silent on pipes. */
import type { LoadProgress } from "@weir/core";

const STAGES: Readonly<Record<LoadProgress["stage"], string>> = {
  open: "opening",
  quantize: "preparing weights",
  compile: "compiling",
  ready: "ready",
};

export class ProgressLine {
  readonly #out: NodeJS.WriteStream;
  #stage = "";
  #stageStart = 0;
  #drawn = false;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  draw(progress: LoadProgress): void {
    if (!this.#out.isTTY) return;
    if (progress.stage !== this.#stage) {
      this.#stage = progress.stage;
      this.#stageStart = performance.now();
    }
    this.#out.write(`\r\x1b[2K${describe(progress, (performance.now() - this.#stageStart) / 1000)}`);
    this.#drawn = true;
  }

  clear(): void {
    if (this.#drawn) this.#out.write("\r\x1b[2K");
    this.#drawn = false;
  }
}

function describe({ stage, bytesDone, bytesTotal }: LoadProgress, seconds: number): string {
  const label = STAGES[stage];
  if (bytesTotal <= 0) return label;
  const share = Math.min(1, bytesDone / bytesTotal);
  const filled = Math.round(share * 24);
  const rate = seconds > 0.2 ? bytesDone / seconds : 0;
  // Compiling is not reading: its bytes only say how far it is.
  const speed = rate > 0 && stage !== "compile" ? ` ${(rate / 2 ** 20).toFixed(0)} MiB/s,` : "";
  const left = rate > 0 ? `${speed} ${Math.ceil((bytesTotal - bytesDone) / rate)} s left` : "";
  return `${label} [${"=".repeat(filled)}${" ".repeat(24 - filled)}] ${(share * 100).toFixed(0)} %${left}`;
}
