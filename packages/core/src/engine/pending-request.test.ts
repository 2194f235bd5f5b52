import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Tokenizer } from "../contracts/index.js";
import { EngineRig, testModel } from "./test-engine.js";

const LONG = "a".repeat(20_000);
const rig = new EngineRig();

/** The test model's tokenizer, with long texts read when `release` says so. */
function slowTokenizer(): { tokenizer: Tokenizer; release(ids: number[] | Error): void } {
  let settle: ((ids: number[] | Error) => void) | undefined;
  const encodeOffThread = (): Promise<Int32Array> =>
    new Promise((resolve, reject) => {
      settle = (ids) => (ids instanceof Error ? reject(ids) : resolve(Int32Array.from(ids)));
    });
  const inner = testModel().tokenizer!;
  const tokenizer = new Proxy(inner, {
    get: (target, name) => (name === "encodeOffThread" ? encodeOffThread : bound(target, name as keyof Tokenizer)),
    has: (target, name) => name === "encodeOffThread" || name in target,
  });
  return { tokenizer, release: (ids) => settle!(ids) };
}

function bound(target: Tokenizer, name: keyof Tokenizer): unknown {
  const value: unknown = target[name];
  return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
}

beforeEach(() => rig.watch());
afterEach(async () => expect(await rig.finish()).toEqual([]));

describe("a request whose prompt is read on another thread", () => {
  it("gives the tokens that its ids give, while short prompts overtake it", async () => {
    const { tokenizer, release } = slowTokenizer();
    const engine = await rig.engine({ tokenizer });
    const order: string[] = [];
    const long = engine
      .generate(LONG, { maxTokens: 3 })
      .text()
      .then((text) => (order.push("long"), text));
    await engine
      .generate("abc", { maxTokens: 3 })
      .text()
      .then(() => order.push("short"));
    release([5, 6, 7]);
    expect(await long).toBe(await engine.generate([5, 6, 7], { maxTokens: 3 }).text());
    expect(order).toEqual(["short", "long"]);
  });

  it("ends at once with AbortedError by its signal or its id, and its ids are dropped when they come", async () => {
    const { tokenizer, release } = slowTokenizer();
    const engine = await rig.engine({ tokenizer });
    const abort = new AbortController();
    const bySignal = engine.generate(LONG, { signal: abort.signal }).text();
    abort.abort();
    await expect(bySignal).rejects.toMatchObject({ code: "aborted" });
    const byId = engine.generate(LONG, { requestId: "long" }).text();
    await expect(engine.generate("abc", { requestId: "long" }).text()).rejects.toThrow(/"long" is in use/);
    expect(engine.abort("long")).toBe(true);
    await expect(byId).rejects.toMatchObject({ code: "aborted" });
    release([1]);
    await engine.drain();
    expect(engine.stats().requests.started).toBe(0);
  });

  it("fails with what the reader threw, and with DisposedError when the engine goes first", async () => {
    const { tokenizer, release } = slowTokenizer();
    const engine = await rig.engine({ tokenizer });
    const failing = engine.generate(LONG).text();
    release(new Error("no such text"));
    await expect(failing).rejects.toThrow("no such text");
    const late = engine.generate(LONG).text();
    const outcome = expect(late).rejects.toMatchObject({ code: "disposed" });
    await engine.dispose();
    await outcome;
  });

  it("is waited for by drain()", async () => {
    const { tokenizer, release } = slowTokenizer();
    const engine = await rig.engine({ tokenizer });
    const usage = engine.generate(LONG, { maxTokens: 2 }).usage();
    setTimeout(() => release([3]), 20);
    await engine.drain();
    expect(engine.stats().requests.finished).toBe(1);
    expect(await usage).toMatchObject({ promptTokens: 1, completionTokens: 2 });
  });
});
