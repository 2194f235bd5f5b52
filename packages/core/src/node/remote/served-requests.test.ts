/** The child's half of requests, without a process between: what it sends, and when it stops sending. */
import { afterEach, describe, expect, it } from "vitest";
import type { LLMEngine } from "../../engine/llm-engine.js";
import { soloTokens, testEngine, turns } from "../../engine/test-engine.js";
import type { Channel } from "./channel.js";
import { EVENT_WINDOW, type ToChild, type ToHost, type WireEvent, type WireRequest } from "./messages.js";
import { ServedRequests } from "./served-requests.js";
import { TO_CHILD_EXAMPLES } from "./testing-support/message-examples.js";

const { request } = TO_CHILD_EXAMPLES.find((message) => message.type === "generate")!;
const REQUEST: WireRequest = {
  ...request,
  prompt: { ids: [1, 2, 3] },
  options: { ...request.options, maxTokens: 400, logprobs: null, stop: [], temperature: 0, logitBias: [] },
  output: [],
};

let engine: LLMEngine;
afterEach(() => engine.dispose());

async function served(): Promise<{ readonly requests: ServedRequests; readonly messages: ToHost[]; events(): WireEvent[] }> {
  engine = await testEngine();
  const messages: ToHost[] = [];
  const channel = { send: (message: ToHost) => void messages.push(message) } as unknown as Channel<ToHost, ToChild>;
  return {
    requests: new ServedRequests(engine, channel),
    messages,
    events: () => messages.flatMap((message) => (message.type === "events" ? message.events : [])),
  };
}

const tokensOf = (events: readonly WireEvent[]): number[] => events.flatMap((event) => (event[0] === "token" ? [event[2]] : []));

describe("ServedRequests", () => {
  it("stops every sequence when the host has not read for a window of messages, and goes on when it has", async () => {
    const { requests, messages, events } = await served();
    requests.generate(1, REQUEST);
    requests.generate(2, { ...REQUEST, requestId: "other" });
    await turns(1000);
    expect(messages).toHaveLength(EVENT_WINDOW);
    const numTokens = tokensOf(events()).length;
    requests.onRead(EVENT_WINDOW / 2 - 1);
    await turns(100);
    expect(messages).toHaveLength(EVENT_WINDOW);
    while (requests.size > 0) {
      requests.onRead(messages.length);
      await turns(20);
    }
    await turns(5);
    expect(numTokens).toBeLessThan(600);
    expect(tokensOf(events().filter(([, id]) => id === 1))).toEqual(soloTokens([1, 2, 3], 400));
  });

  it("keeps what the host paused paused when the host reads again", async () => {
    const { requests, messages, events } = await served();
    requests.generate(1, REQUEST);
    requests.generate(2, { ...REQUEST, requestId: "paused", paused: true });
    while (requests.size > 1) {
      requests.onRead(messages.length);
      await turns(20);
    }
    expect(tokensOf(events().filter(([, id]) => id === 2))).toEqual([]);
    requests.pause(2, false);
    while (requests.size > 0) {
      requests.onRead(messages.length);
      await turns(20);
    }
    await turns(5);
    expect(tokensOf(events().filter(([, id]) => id === 2))).toHaveLength(400);
  });

  it("puts all tokens of a step into one message, after who was scheduled was told", async () => {
    const { requests, messages } = await served();
    for (const id of [1, 2, 3]) requests.generate(id, { ...REQUEST, requestId: `r${id}`, options: { ...REQUEST.options, maxTokens: 5 } });
    await turns(100);
    const kinds = messages.map((message) => (message.type === "events" ? message.events.map(([kind]) => kind) : []));
    expect(kinds.slice(0, 3).flat()).toEqual(["queued", "queued", "queued", "scheduled", "scheduled", "scheduled"]);
    for (const each of kinds.slice(3)) expect(each.filter((kind) => kind === "token").length % 3).toBe(0);
    // Numbers come with the end, when the blocks are free.
    const last = messages.findLast((message) => message.type === "events" && message.stats !== null);
    expect(last).toMatchObject({ stats: { requests: { finished: 3, live: 0 }, blocks: { numFreeBlocks: 4096 } } });
  });

  it("says nothing more once it is mute, nor of a request that was cancelled", async () => {
    const { requests, messages, events } = await served();
    requests.generate(1, REQUEST);
    await turns(10);
    requests.cancel(1);
    requests.cancel(1);
    await turns(10);
    const numTokens = tokensOf(events()).length;
    await turns(20);
    expect(tokensOf(events())).toHaveLength(numTokens);
    requests.mute();
    const numMessages = messages.length;
    requests.generate(2, REQUEST);
    await turns(20);
    expect(messages).toHaveLength(numMessages);
  });
});
