/** Damaged model folders at the command line: exit code 2 and one line, whichever command meets them. */
import { cp, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DEMO_MODEL } from "./model-argument.js";
import { LLAMA, runMain } from "./testing/run-main.js";

let root = "";
let copies = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "weir-damaged-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function copyOf(model: string): Promise<string> {
  const folder = join(root, String(copies++));
  await cp(model, folder, { recursive: true, filter: (path) => !path.endsWith(".weir-cache") });
  return folder;
}

async function expectRefused(folder: string, message: RegExp): Promise<void> {
  for (const argv of [
    ["inspect", folder],
    ["generate", folder, "--prompt-ids", "1", "--max-tokens", "1"],
  ]) {
    const { code, stdout, stderr } = await runMain(...argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^weir: [^\n]+\n$/);
    expect(stderr).toMatch(message);
  }
}

async function withConfig(change: Record<string, unknown>): Promise<string> {
  const folder = await copyOf(LLAMA);
  const path = join(folder, "config.json");
  const config = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  await writeFile(path, JSON.stringify({ ...config, ...change }));
  return folder;
}

describe("a damaged config.json", () => {
  it.each([
    [{ hidden_size: 0 }, /hidden_size/],
    [{ hidden_size: "4096" }, /hidden_size/],
    [{ hidden_size: 1e12 }, /hidden_size/],
    [{ num_attention_heads: 7 }, /num_attention_heads|hidden_size|head/],
    [{ num_key_value_heads: 99 }, /num_key_value_heads/],
    [{ num_hidden_layers: 1e6 }, /num_hidden_layers/],
    [{ rope_theta: 0, rope_parameters: undefined }, /rope_theta/],
    [{ vocab_size: 99 }, /vocab_size|embed_tokens/],
    [{ max_position_embeddings: 2 ** 40 }, /max_position_embeddings/],
    [{ model_type: "mamba", architectures: undefined }, /mamba/],
    [{ model_type: "custom", auto_map: { AutoModel: "evil.py" } }, /custom|auto_map/],
  ])("with %j names the field", async (change, field) => {
    await expectRefused(await withConfig(change), field);
  });

  it.each([
    ["", /config\.json/],
    ["{", /config\.json/],
    ["[]", /config\.json/],
    ["null", /config\.json/],
    ["\u0000\u001b[31m", /config\.json/],
  ])("that reads %j names the file", async (text, message) => {
    const folder = await copyOf(LLAMA);
    await writeFile(join(folder, "config.json"), text);
    await expectRefused(folder, message);
  });
});

describe("damaged weights", () => {
  it.each([0, 7, 100, 5_000, 200_000])("cut off after %i bytes are refused before anything is allocated", async (size) => {
    const folder = await copyOf(LLAMA);
    await truncate(join(folder, "model.safetensors"), size);
    await expectRefused(folder, /model\.safetensors/);
  });

  it("with a header that claims 2^60 bytes are refused", async () => {
    const folder = await copyOf(LLAMA);
    const path = join(folder, "model.safetensors");
    const bytes = await readFile(path);
    bytes.writeBigUInt64LE(2n ** 60n, 0);
    await writeFile(path, bytes);
    await expectRefused(folder, /model\.safetensors/);
  });

  it("that are missing are named", async () => {
    const folder = await copyOf(LLAMA);
    await rm(join(folder, "model.safetensors"));
    await expectRefused(folder, /safetensors/);
  });
});

describe("a damaged tokenizer.json", () => {
  it.each(["", "{", "{}", "[]", '{"model":{"type":"BPE","vocab":5}}'])("that reads %j is refused by name", async (text) => {
    const folder = await copyOf(DEMO_MODEL);
    await writeFile(join(folder, "tokenizer.json"), text);
    await expectRefused(folder, /tokenizer\.json/);
  });
});
