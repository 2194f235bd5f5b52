import { Writable } from "node:stream";
import { describe, expect, it, vi } from "vitest";
import { ProgressLine } from "./progress-line.js";

function terminal(isTTY: boolean): { readonly out: NodeJS.WriteStream; readonly text: () => string } {
  let text = "";
  const out = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  return { out: Object.assign(out, { isTTY, columns: 80 }) as unknown as NodeJS.WriteStream, text: () => text };
}

describe("ProgressLine", () => {
  it("draws one line over and over, with speed and time left, and leaves nothing behind", () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    const { out, text } = terminal(true);
    const line = new ProgressLine(out);
    line.draw({ stage: "quantize", bytesDone: 0, bytesTotal: 400 * 2 ** 20 });
    vi.advanceTimersByTime(1000);
    line.draw({ stage: "quantize", bytesDone: 100 * 2 ** 20, bytesTotal: 400 * 2 ** 20 });
    line.clear();
    vi.useRealTimers();
    const drawn = text().split("\r\u001b[2K");
    expect(drawn).toEqual([
      "",
      "preparing weights [                        ] 0 %",
      "preparing weights [======                  ] 25 % 100 MiB/s, 3 s left",
      "",
    ]);
    expect(text()).not.toContain("\n");
  });

  it("shows the stage alone when it has no size", () => {
    const { out, text } = terminal(true);
    new ProgressLine(out).draw({ stage: "compile", bytesDone: 0, bytesTotal: 0 });
    expect(text()).toBe("\r\u001b[2Kcompiling");
  });

  it("is silent on a pipe", () => {
    const { out, text } = terminal(false);
    const line = new ProgressLine(out);
    line.draw({ stage: "quantize", bytesDone: 1, bytesTotal: 2 });
    line.clear();
    expect(text()).toBe("");
  });
});
