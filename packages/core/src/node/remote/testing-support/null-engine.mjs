/**
 * An engine over the null backend for tests of remoteEngine, made in the child: its tokens are bytes, so that text is cut
 * inside characters; options ask for faults. A fault named with `once` happens until that file exists, then never again.
 */
import { existsSync, writeFileSync } from "node:fs";
import { createEngine as create } from "@weir/core";
import { nullBackend, nullModelSpec, nullWeights } from "@weir/core/testing";

/** Bytes, which are what the null backend samples, and some more for prompts that are poison. */
const VOCAB = 300;

export async function createEngine(options = {}, load = {}) {
  const { fault, once, atStep = 0, poison, renameOnce, loadMs = 0, progress = [], name = "null", stepMs = 0, ...engineOptions } = options;
  for (const each of progress) load.onProgress?.(each);
  if (loadMs > 0) await sleep(loadMs, load.signal);
  if (fault?.startsWith("load-") && due(once)) await misbehave(fault.slice(5));
  const steps = { left: atStep, fault: fault?.startsWith("load-") ? undefined : fault, once, poison };
  return create({
    model: {
      name: renameOnce === undefined || due(renameOnce) ? name : "another",
      spec: nullModelSpec({ vocabSize: VOCAB }),
      weights: nullWeights(),
      storedScheme: "f32",
      tokenizer: byteTokenizer(),
      chatTemplate,
    },
    backend: misbehaving(nullBackend({ stepMs, vocabSize: 256 }), steps),
    blockSize: 4,
    numBlocks: 4096,
    maxModelLen: 1024,
    ...engineOptions,
  });
}

export default createEngine;

function misbehaving(backend, state) {
  return {
    name: backend.name,
    apiVersion: backend.apiVersion,
    capabilities: backend.capabilities,
    dispose: () => backend.dispose(),
    loadModel: async (...args) => {
      const runner = await backend.loadModel(...args);
      const execute = runner.execute.bind(runner);
      runner.execute = async (input) => {
        if (input.inputIds.subarray(0, input.numTokens).includes(state.poison)) await misbehave("SIGSEGV");
        if (state.fault && state.left-- === 0 && due(state.once)) await misbehave(state.fault);
        return execute(input);
      };
      return runner;
    },
  };
}

function due(once) {
  if (once === undefined) return true;
  if (existsSync(once)) return false;
  writeFileSync(once, "");
  return true;
}

async function misbehave(fault) {
  if (fault === "throw") throw new Error("the plug-in's own error");
  if (fault === "exit") process.exit(3);
  if (fault === "hang") return new Promise(() => {});
  if (fault === "loop") for (;;);
  if (fault === "garbage") (await import("node:fs")).writeSync(3, Buffer.from("no frame of ours, and long enough for a header"));
  if (fault === "heap") exhaustHeap();
  if (fault.startsWith("SIG")) process.kill(process.pid, fault);
  await new Promise(() => {});
}

function exhaustHeap() {
  const kept = [];
  for (;;) kept.push(Array.from({ length: 10_000 }, (_, i) => ({ i })));
}

const chatTemplate = {
  render: (messages) => ({ text: messages.map(({ role, content }) => `${role}: ${content}\n`).join(""), contentSpans: [] }),
};

function byteTokenizer() {
  const decode = (ids) => Buffer.from(Array.from(ids, (id) => PATTERN[id % PATTERN.length])).toString("utf8");
  return {
    vocabSize: VOCAB,
    encode: (text) => Int32Array.from(Buffer.from(text, "utf8")),
    decode,
    isSpecial: () => false,
    tokenToId: () => undefined,
    createDetokenizer: () => new ByteDetokenizer(),
  };
}

/** What ids stand for in a decoded text: much of it is halves of characters. */
const PATTERN = Buffer.from("aé中😀b", "utf8");

class ByteDetokenizer {
  decoder = new TextDecoder();
  push(id) {
    return this.decoder.decode(Uint8Array.of(PATTERN[id % PATTERN.length]), { stream: true });
  }
  flush() {
    return this.decoder.decode();
  }
}

function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new Error("stopped"));
    });
  });
}
