import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeBounded, renderBounded } from "../text/index.js";
import { readTextSide, type TextSide } from "./text-side.js";
import { TextWorker } from "./text-worker.js";

const FIXTURE = fileURLToPath(new URL("../../../../fixtures/tokenizers/bytelevel_bpe", import.meta.url));
const DEMO_MODEL = fileURLToPath(new URL("../../../cli/model/tiny-shakespeare", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "weir-text-"));
const TEMPLATE =
  "{% for m in messages %}{% if m.role == 'loop' %}{% for i in range(100000000) %}x{% endfor %}{% endif %}{{ m.content }}\n{% endfor %}";
let side: TextSide;

beforeAll(async () => {
  cpSync(FIXTURE, folder, { recursive: true });
  writeFileSync(join(folder, "chat_template.jinja"), TEMPLATE);
  side = await readTextSide(folder, new TextWorker(folder, { timeoutMs: 1500, maxHeapMb: 512 }));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("the text worker", () => {
  it("gives what the caller's thread gives", async () => {
    const text = "The quick brown fox <|im_end|> jumps. ".repeat(1000);
    const options = { specialTokens: { literalSpans: [{ start: 0, end: 100 }] } };
    expect(text.length).toBeGreaterThan(2 ** 14);
    const ids = await encodeBounded(side.tokenizer!, text, options);
    expect(ids).toBeInstanceOf(Int32Array);
    expect([...ids]).toEqual([...side.tokenizer!.encode(text, options)]);
    const messages = [{ role: "user", content: text }];
    expect(await renderBounded(side.chatTemplate!, messages)).toEqual(side.chatTemplate!.render(messages));
  });

  it.each([
    ["one letter", "a"],
    ["spaces", " "],
    ["combining marks", "\u0301\u0323"],
    ["lone surrogates", "\ud800"],
  ])("answers 10 MB of %s in bounded time while the caller's loop runs on", async (_, unit) => {
    const text = unit.repeat(10_000_000 / unit.length);
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const start = performance.now();
    delay.enable();
    const outcome = await Promise.resolve(encodeBounded(side.tokenizer!, text)).then(
      (ids) => ids.length,
      (error: unknown) => (error as { code: string }).code,
    );
    delay.disable();
    expect(performance.now() - start).toBeLessThan(6000);
    expect(typeof outcome === "number" || ["timeout", "invalid_request"].includes(outcome)).toBe(true);
    // Posting the text costs a copy; tokenizing it here would cost seconds.
    expect(delay.max / 1e6).toBeLessThan(500);
  });

  it("starts in a process whose own text came from the command line", () => {
    const node = new URL("../../dist/node/index.js", import.meta.url).href;
    const code = `import { openModelFolder } from ${JSON.stringify(node)};
      const { tokenizer } = await openModelFolder(${JSON.stringify(DEMO_MODEL)}, {});
      console.log((await tokenizer.encodeOffThread("To be ".repeat(5000))).length > 5000);
      process.exit();`;
    expect(execFileSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" })).toBe("true\n");
  });

  it("stops a template that does not end, and serves the next job", async () => {
    const endless = [{ role: "loop", content: "x".repeat(20_000) }];
    await expect(renderBounded(side.chatTemplate!, endless)).rejects.toMatchObject({ code: "timeout" });
    const { text } = await renderBounded(side.chatTemplate!, [{ role: "user", content: "y".repeat(20_000) }]);
    expect(text.length).toBe(20_001);
  });

  it("passes on what the template or the limits refuse", async () => {
    const long = "x".repeat(20_000);
    await expect(renderBounded(side.chatTemplate!, [{ role: "a b", content: long }])).rejects.toMatchObject({ code: "invalid_request" });
    await expect(renderBounded(side.chatTemplate!, [{ role: "u", content: long }], { variables: { f: () => 1 } })).rejects.toThrow(
      /plain data/,
    );
    expect(() => encodeBounded(side.tokenizer!, long, {}, { maxLength: 10_000 })).toThrow(/20000 characters; at most 10000/);
    const other = new TextWorker(join(folder, "nowhere"));
    await expect(other.encode("x")).rejects.toMatchObject({ code: "invalid_request" });
  });
});
