import { describe, expect, it } from "vitest";
import { platform } from "./browser.js";

describe("the browser's platform", () => {
  it("opens no paths", async () => {
    await expect(platform.openModel("./model", {})).rejects.toMatchObject({ code: "not_supported" });
  });

  it("gives the event loop a turn: what was queued before runs before", async () => {
    const order: string[] = [];
    setImmediate(() => order.push("queued"));
    await new Promise((resolve) => setImmediate(resolve));
    void platform.yieldToEventLoop().then(() => order.push("second"));
    await platform.yieldToEventLoop();
    expect(order).toEqual(["queued", "second"]);
  });

  it("has a monotonic clock and a guess at memory", () => {
    const start = platform.now();
    expect(platform.now()).toBeGreaterThanOrEqual(start);
    expect(platform.availableMemory()).toBe(2 * 2 ** 30);
  });
});
