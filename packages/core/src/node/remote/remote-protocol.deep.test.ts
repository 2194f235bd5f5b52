/** The protocol under damaged messages: every one is taken or refused by a ProtocolError; host and child never fall over. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WeirError } from "../../errors/index.js";
import { builtModule } from "../../platform/built-module.js";
import { EventHub } from "../../stream/event-hub.js";
import { checkToChild, checkToHost } from "./check-messages.js";
import { EventDispatcher } from "./event-dispatcher.js";
import { encodeFrame, FrameReader } from "./frames.js";
import type { ToChild, ToHost } from "./messages.js";
import { MirroredRequest } from "./mirrored-request.js";
import { remoteEngine } from "./remote-engine.js";
import { RequestMirror } from "./request-mirror.js";
import { ProtocolError } from "./schema.js";
import { NULL_ENGINE } from "./testing-support/remote-rig.js";
import { TO_CHILD_EXAMPLES, TO_HOST_EXAMPLES } from "./testing-support/message-examples.js";

const hub = new EventHub([], () => {});
const READY = TO_HOST_EXAMPLES[1] as Extract<ToHost, { type: "ready" }>;

const junk = fc.oneof(
  fc.constantFrom(null, -1, 0.5, 1e300, 2 ** 53, "", "\ud800", [], {}, true, "__proto__", [[]], { type: "close" }),
  fc.jsonValue({ maxDepth: 3 }),
);

/** A message with one value somewhere in it replaced, removed, or doubled. */
function damaged(messages: readonly unknown[]): fc.Arbitrary<unknown> {
  return fc
    .tuple(fc.constantFrom(...messages), fc.nat(), fc.constantFrom("replace", "remove", "add"), junk)
    .map(([message, at, how, value]) => {
      const copy = JSON.parse(JSON.stringify(message)) as unknown;
      const places: (readonly [Record<string, unknown>, string])[] = [];
      const walk = (node: unknown): void => {
        if (typeof node !== "object" || node === null) return;
        for (const [key, inner] of Object.entries(node)) {
          places.push([node as Record<string, unknown>, key]);
          walk(inner);
        }
      };
      walk(copy);
      const [node, key] = places[at % places.length]!;
      if (how === "replace") node[key] = value;
      else if (how === "remove") delete node[key];
      else node[`${key}2`] = value;
      return copy;
    });
}

describe("damaged messages", () => {
  it("are taken or refused by a ProtocolError, at both ends", () => {
    let refused = 0;
    const check = (parse: (value: unknown) => unknown) => (value: unknown) => {
      try {
        parse(value);
      } catch (error) {
        refused++;
        if (!(error instanceof ProtocolError) || error.message.length > 2000) throw error;
      }
    };
    fc.assert(fc.property(damaged(TO_HOST_EXAMPLES), check(checkToHost)), { numRuns: 100_000 });
    fc.assert(fc.property(damaged(TO_CHILD_EXAMPLES), check(checkToChild)), { numRuns: 100_000 });
    expect(refused).toBeGreaterThan(50_000);
  });

  it("that are well formed all the same do a mirror no harm", () => {
    const events = TO_HOST_EXAMPLES.filter((message): message is Extract<ToHost, { type: "events" }> => message.type === "events");
    const run = (messages: readonly unknown[]): void => {
      const mirror = mirrorWithRequests();
      const dispatcher = new EventDispatcher({ hub, mirror, info: () => READY.info });
      for (const message of messages) {
        try {
          const checked = checkToHost(message);
          if (checked.type === "events") dispatcher.dispatch(checked.events);
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error;
        }
      }
      mirror.failAll(new Error("over"));
      expect(mirror.size).toBe(0);
    };
    fc.assert(fc.property(fc.array(damaged(events), { maxLength: 8 }), run), { numRuns: 10_000 });
  });

  it("bytes that are damaged in any way end the reading with a ProtocolError, or say nothing", () => {
    const bytes = Buffer.concat(TO_HOST_EXAMPLES.map((message) => encodeFrame(message)));
    const property = fc.property(fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), (changes) => {
      const changed = Buffer.from(bytes);
      for (const [at, byte] of changes) changed[at] = byte;
      const read: unknown[] = [];
      try {
        new FrameReader((value) => read.push(value)).push(changed);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
      expect(read).toEqual(JSON.parse(JSON.stringify(TO_HOST_EXAMPLES.slice(0, read.length))));
    });
    fc.assert(property, { numRuns: 20_000 });
  });
});

describe("processes that do not speak the protocol", () => {
  const frames = new URL("./frames.js", builtModule(import.meta.url)).href;

  it("a child that says damaged things is killed, and the host has a typed error", async () => {
    const samples = fc.sample(damaged(TO_HOST_EXAMPLES), { numRuns: 40, seed: 4 });
    for (const sample of samples) {
      const script = `
        import { writeSync } from "node:fs";
        import { encodeFrame } from ${JSON.stringify(frames)};
        writeSync(3, encodeFrame(${JSON.stringify(sample)}));
        setTimeout(() => {}, 1000);`;
      const command = [process.execPath, "--input-type=module", "-e", script];
      const error: unknown = await remoteEngine({ command, maxLoadRetries: 0, loadTimeoutMs: 5000 }).then(
        (engine) => engine.dispose(),
        (thrown: unknown) => thrown,
      );
      // A message that is well formed all the same may be the child's own load error, or make it ready.
      expect(error === undefined || WeirError.isInstance(error) || error instanceof Error).toBe(true);
    }
  }, 240_000);

  it("a host that says damaged things is left by its child, with exit code 70", async () => {
    const entry = fileURLToPath(new URL("./child-entry.js", builtModule(import.meta.url)));
    const init = { type: "init", protocol: 1, module: NULL_ENGINE.href, options: {}, beatMs: 1000, drainMs: 0 };
    for (const sample of [{ type: "generate" }, { type: "init" }, [], { type: "cancel", id: -1 }, init]) {
      const child = spawn(process.execPath, [entry], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
      const channel = child.stdio[3] as unknown as NodeJS.ReadWriteStream;
      channel.on("error", () => {});
      channel.resume();
      channel.write(encodeFrame(init));
      channel.write(encodeFrame(sample));
      const code = await new Promise((resolve) => child.once("exit", resolve));
      expect(code).toBe(70);
    }
  }, 60_000);
});

function mirrorWithRequests(): RequestMirror {
  const mirror = new RequestMirror({
    hub,
    onRestart: "replay",
    maxReplays: 3,
    send: () => {},
    isReady: () => true,
    onBusy: () => {},
  });
  const sink = { next: () => {}, error: () => {}, complete: () => {} };
  const { options } = (TO_CHILD_EXAMPLES[1] as Extract<ToChild, { type: "generate" }>).request;
  for (const id of [1, 2, 3]) {
    const prompt = { ids: [1, 2, 3] };
    mirror.add(
      new MirroredRequest({ id, requestId: `r${id}`, sink, prompt, options, parent: null, arrivalTime: 0, deadlineMs: undefined }),
    );
  }
  return mirror;
}
