import {
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { WeightLocator, WeightSource } from "../contracts/index.js";
import { ModelLoadError } from "../errors/index.js";
import { openModelFolder } from "./model-folder.js";
import { openWeights } from "./safetensors-source.js";

const FIXTURES = fileURLToPath(new URL("../../../../fixtures/", import.meta.url));
const DEMO = fileURLToPath(new URL("../../../cli/model/tiny-shakespeare", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "weir-model-"));
let folder = "";
let count = 0;

beforeEach(() => {
  folder = join(root, String(count++));
  cpSync(join(FIXTURES, "models/llama3_rope"), folder, { recursive: true });
});
afterAll(() => rmSync(root, { recursive: true }));

describe("openModelFolder", () => {
  it("opens the demo model with tokenizer and template", async () => {
    const model = await openModelFolder(DEMO);
    expect(model).toMatchObject({ name: "tiny-shakespeare", storedScheme: "bf16" });
    expect([...model.tokenizer!.encode("ROMEO:\n")]).toEqual([1256, 27, 200]);
    const { text, contentSpans } = model.chatTemplate!.render([{ role: "romeo", content: " But soft! " }]);
    expect(text).toBe("ROMEO:\nBut soft!\n\nASSISTANT:\n");
    expect(contentSpans.map(({ start, end }) => text.slice(start, end))).toEqual(["But soft!"]);
    await model.weights.close();
  });

  it("takes end tokens from generation_config.json, where it has any", async () => {
    const withList = await openModelFolder(folder);
    expect(withList.spec.eosTokenIds).toEqual([2, 5, 6]);
    await withList.weights.close();
    rmSync(join(folder, "generation_config.json"));
    const without = await openModelFolder(folder);
    expect(without.spec.eosTokenIds).toEqual([2]);
    expect(without.tokenizer).toBeUndefined();
    await without.weights.close();
  });

  it("reads sampling defaults only where the model wants sampling", async () => {
    const write = (config: object): void => writeFileSync(join(folder, "generation_config.json"), JSON.stringify(config));
    write({ do_sample: true, temperature: 0.6, top_p: 0.9, eos_token_id: [5] });
    const sampling = await openModelFolder(folder);
    expect(sampling.generationConfig).toEqual({ temperature: 0.6, topP: 0.9 });
    await sampling.weights.close();
    write({ do_sample: false, temperature: 0.6 });
    const greedy = await openModelFolder(folder);
    expect(greedy.generationConfig).toEqual({});
    await greedy.weights.close();
    write({ do_sample: true, top_p: 2 });
    await expect(openModelFolder(folder)).rejects.toThrow(/generation_config.json: top_p is 2/);
  });

  it("opens random shapes by name", async () => {
    const model = await openModelFolder("random:qwen2.5-0.5b");
    expect(model.spec.head.tied).toBe(true);
    expect(model.tokenizer).toBeUndefined();
  });

  it.each([
    ["a missing folder", () => rmSync(folder, { recursive: true }), /does not exist/],
    ["a missing config", () => rmSync(join(folder, "config.json")), /no config.json/],
    ["missing weights", () => rmSync(join(folder, "model.safetensors")), /neither model.safetensors/],
    ["a config that is no JSON", () => writeFileSync(join(folder, "config.json"), "{"), /config.json is not valid JSON/],
    ["a config that is not UTF-8", () => writeFileSync(join(folder, "config.json"), Buffer.of(0x22, 0xff, 0x22)), /not valid UTF-8/],
    ["a config of 5 MB", () => writeFileSync(join(folder, "config.json"), " ".repeat(5e6)), /5000000 bytes; the limit is/],
    [
      "a vocab_size that is not the embedding's",
      () => change({ vocab_size: 511 }),
      /embed_tokens.weight has shape \[512, 64\]; .*\[511, 64\]/,
    ],
    ["a layer too many", () => change({ num_hidden_layers: 4 }), /model.layers.3.* is missing/],
    ["a layer too few", () => change({ num_hidden_layers: 2 }), /model.layers.2.* no part of a llama model/],
    ["another width", () => change({ intermediate_size: 168 }), /mlp.gate_proj.weight has shape \[160, 64\]/],
    ["a folder in place of a file", () => replaceByFolder("config.json"), /not a regular file/],
    ["a tokenizer that is no tokenizer", () => writeFileSync(join(folder, "tokenizer.json"), "[]"), /no object model/],
    ["a tokenizer with more ids than the model", () => copyTokenizer(), /vocab_size 512/],
  ])("refuses %s with one clear error", async (_, damage, message) => {
    damage();
    await expect(openModelFolder(folder)).rejects.toThrow(message);
    await expect(openModelFolder(folder)).rejects.toBeInstanceOf(ModelLoadError);
  });

  it("can be aborted", async () => {
    await expect(openModelFolder(folder, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("safetensors shards", () => {
  beforeEach(() => renameSync(join(folder, "model.safetensors"), join(folder, "part-1.safetensors")));

  it("are found through the index", async () => {
    await writeIndex("part-1.safetensors");
    const model = await openModelFolder(folder);
    expect(model.weights.tensors.size).toBe(30);
    await model.weights.close();
  });

  it.each([
    "../x.safetensors",
    "/etc/x.safetensors",
    "a/b.safetensors",
    "..",
    "a\\b.safetensors",
    "part-1.safetensors\0",
    "config.json",
    "",
  ])("may not be called %j", async (name) => {
    await writeIndex(name);
    await expect(openModelFolder(folder)).rejects.toBeInstanceOf(ModelLoadError);
  });

  it("may not be links out of the folder", async () => {
    const outside = join(root, `outside-${count}.safetensors`);
    renameSync(join(folder, "part-1.safetensors"), outside);
    await writeIndex("part-1.safetensors", outside);
    symlinkSync(outside, join(folder, "part-1.safetensors"));
    await expect(openModelFolder(folder)).rejects.toThrow(/symbolic link out of the model folder/);
    rmSync(join(folder, "part-1.safetensors"));
    linkSync(outside, join(folder, "part-1.safetensors"));
    await expect(openModelFolder(folder)).rejects.toThrow(/hard link/);
    rmSync(join(folder, "part-1.safetensors"));
    symlinkSync("part-1.safetensors", join(folder, "part-1.safetensors"));
    await expect(openModelFolder(folder)).rejects.toThrow(/cannot be read: ELOOP/);
  });

  it("may be links into the blobs of a hub cache", async () => {
    const snapshot = join(root, `hub-${count}/snapshots/abc`);
    const blobs = join(root, `hub-${count}/blobs`);
    mkdirSync(blobs, { recursive: true });
    mkdirSync(join(snapshot, ".."), { recursive: true });
    await writeIndex("part-1.safetensors");
    renameSync(folder, snapshot);
    renameSync(join(snapshot, "part-1.safetensors"), join(blobs, "0123"));
    symlinkSync("../../blobs/0123", join(snapshot, "part-1.safetensors"));
    const model = await openModelFolder(snapshot);
    expect(model.weights.tensors.size).toBe(30);
    await model.weights.close();
  });

  it("must be there, agree with the index and be few", async () => {
    await writeIndex("part-2.safetensors", join(folder, "part-1.safetensors"));
    await expect(openModelFolder(folder)).rejects.toThrow(/part-2.safetensors, which is missing/);
    writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: { x: "part-1.safetensors" } }));
    await expect(openModelFolder(folder)).rejects.toThrow(/tensor x is in part-1.safetensors, but no shard has it/);
    const many = Object.fromEntries(Array.from({ length: 1e5 }, (_, i) => [`t${i}`, `${i}.safetensors`]));
    writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: many }));
    await expect(openModelFolder(folder)).rejects.toThrow(/names 100000 files/);
    writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: [1] }));
    await expect(openModelFolder(folder)).rejects.toThrow(/no object weight_map/);
  });
});

describe("a safetensors source", () => {
  it("reads any range, and knows itself again through its locator", async () => {
    const weights = await openWeights({ files: [join(folder, "model.safetensors")] });
    const { name, byteLength, file } = weights.tensors.get("model.norm.weight")!;
    const whole = new Uint8Array(byteLength);
    await weights.read(name, 0, whole);
    const onDisk = readFileSync(file!.path).subarray(file!.byteOffset, file!.byteOffset + byteLength);
    expect([...whole]).toEqual([...onDisk]);
    const part = new Uint8Array(5);
    await weights.read(name, 3, part);
    expect([...part]).toEqual([...whole.subarray(3, 8)]);
    const again = await reopen(weights.locator!);
    expect(again.identity).toBe(weights.identity);
    await Promise.all([weights.close(), weights.close(), again.close()]);
    await expect(weights.read(name, 0, part)).rejects.toThrow(/closed/);
  });

  it("refuses ranges outside of a tensor and unknown names", async () => {
    const weights = await openWeights({ files: [join(folder, "model.safetensors")] });
    await expect(weights.read("x", 0, new Uint8Array(1))).rejects.toThrow(/tensor x is not in the weights/);
    for (const offset of [-1, 1.5, 256])
      await expect(weights.read("model.norm.weight", offset, new Uint8Array(1))).rejects.toThrow(ModelLoadError);
    await weights.close();
  });

  it("notices that a file was cut or rewritten while it is open", async () => {
    const path = join(folder, "model.safetensors");
    const weights = await openWeights({ files: [path] });
    const { byteOffset } = weights.tensors.get("model.norm.weight")!.file!;
    const bytes = readFileSync(path);
    truncateSync(path, byteOffset + 4);
    await expect(weights.read("model.norm.weight", 0, new Uint8Array(16))).rejects.toThrow(/was cut|changed/);
    writeFileSync(path, bytes);
    await expect(weights.read("model.norm.weight", 0, new Uint8Array(16))).rejects.toThrow(/changed/);
    await expect(reopen(weights.locator!)).rejects.toThrow(/changed on disk/);
    await weights.close();
  });

  it("leaves no file open when one of several is damaged", async () => {
    const bad = join(folder, "bad.safetensors");
    for (const size of [0, 7, 8, 100]) {
      writeFileSync(bad, Buffer.alloc(size, 0x7f));
      await expect(openWeights({ files: [join(folder, "model.safetensors"), bad] })).rejects.toThrow(/bad.safetensors: safetensors/);
    }
    await expect(openWeights({ files: [folder] })).rejects.toBeInstanceOf(ModelLoadError);
    const twice = join(folder, "model.safetensors");
    await expect(openWeights({ files: [twice, twice] })).rejects.toThrow(/in two of the weight files/);
  });
});

/** As a worker would, but from the sources. */
function reopen(locator: WeightLocator): Promise<WeightSource> {
  expect(locator.module).toMatch(/\/dist\/node\/safetensors-source\.js$/);
  return openWeights(structuredClone(locator.options) as Parameters<typeof openWeights>[0]);
}

async function writeIndex(name: string, from = join(folder, "part-1.safetensors")): Promise<void> {
  const weights = await openWeights({ files: [from] });
  const weight_map = Object.fromEntries([...weights.tensors.keys()].map((tensor) => [tensor, name]));
  await weights.close();
  writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map }));
}

function change(fields: object): void {
  const path = join(folder, "config.json");
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, "utf8")) as object), ...fields }));
}

function replaceByFolder(name: string): void {
  rmSync(join(folder, name));
  mkdirSync(join(folder, name));
}

function copyTokenizer(): void {
  for (const name of ["tokenizer.json", "tokenizer_config.json"])
    cpSync(join(FIXTURES, "tokenizers/bytelevel_bpe", name), join(folder, name));
}
