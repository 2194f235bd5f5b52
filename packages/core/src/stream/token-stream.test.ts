/** TokenStream over a hand-driven request: no engine. */
import { Subject, type Observable } from "rxjs";
import { describe, expect, it, vi } from "vitest";
import type { TokenEvent } from "../contracts/index.js";
import { AbortedError } from "../errors/index.js";
import { EventHub } from "./event-hub.js";
import { toText, toUsage } from "./operators.js";
import type { RequestSink, StartRequest } from "./request-sink.js";
import { toWebStream } from "./to-web-stream.js";
import { TokenStream } from "./token-stream.js";

interface FakeRequest {
  readonly sink: RequestSink;
  readonly signal: AbortSignal | undefined;
  readonly calls: string[];
}

function fakeEngine(bufferLimit = 4): { stream: TokenStream; requests: FakeRequest[]; reported: unknown[] } {
  const requests: FakeRequest[] = [];
  const reported: unknown[] = [];
  const start: StartRequest = (sink, signal) => {
    const calls: string[] = [];
    requests.push({ sink, signal, calls });
    return {
      requestId: `r${requests.length}`,
      cancel: () => calls.push("cancel"),
      setPaused: (paused) => calls.push(paused ? "pause" : "resume"),
    };
  };
  return { stream: new TokenStream(start, (error) => reported.push(error), bufferLimit), requests, reported };
}

const token = (index: number): TokenEvent => ({ type: "token", requestId: "r1", id: index, text: `t${index}`, index });
const usage = { promptTokens: 1, completionTokens: 2, totalTokens: 3, cachedTokens: 0 };
const timings = { queued: 0, prefill: 0, decode: 0, timeToFirstToken: 0, total: 0 };
const end: TokenEvent = { type: "request-end", requestId: "r1", finishReason: "length", text: ".", usage, timings };

describe("TokenStream as an Observable", () => {
  it("starts nothing before it is subscribed and cancels when it is unsubscribed, once", () => {
    const { stream, requests } = fakeEngine();
    expect(requests).toHaveLength(0);
    const subscription = stream.subscribe();
    subscription.unsubscribe();
    subscription.unsubscribe();
    expect(requests[0]!.calls).toEqual(["cancel"]);
  });

  it("takes three functions as well as an observer, whose methods keep their this", () => {
    const { stream, requests } = fakeEngine();
    const [next, error, complete] = [vi.fn(), vi.fn(), vi.fn()];
    stream.subscribe(next, error, complete);
    requests[0]!.sink.next(token(0));
    requests[0]!.sink.complete();
    expect([next, error, complete].map((mock) => mock.mock.calls.length)).toEqual([1, 0, 1]);
    const observer = {
      seen: 0,
      next() {
        this.seen++;
      },
    };
    stream.subscribe(observer);
    requests[1]!.sink.next(token(0));
    expect(observer.seen).toBe(1);
  });

  it("feeds a Subject, whose own subscribers are the Subject's business", () => {
    const { stream, requests } = fakeEngine();
    const subject = new Subject<TokenEvent>();
    const seen: TokenEvent[] = [];
    subject.subscribe((event) => seen.push(event));
    stream.subscribe(subject);
    requests[0]!.sink.next(token(0));
    expect(seen).toEqual([token(0)]);
  });

  it("reports a throw that comes while it is being subscribed, and cancels", () => {
    const reported: unknown[] = [];
    const cancel = vi.fn();
    const stream = new TokenStream(
      (sink) => {
        sink.next(token(0));
        sink.next(token(1));
        return { requestId: "r", cancel, setPaused: () => {} };
      },
      (error, requestId) => reported.push([error, requestId]),
    );
    stream.subscribe(() => {
      throw "early";
    });
    expect(reported).toEqual([["early", "r1"]]);
    expect(cancel).toHaveBeenCalledOnce();
  });

  it("reports what error and complete handlers throw", () => {
    const { stream, requests, reported } = fakeEngine();
    stream.subscribe({
      error: () => {
        throw "in error";
      },
    });
    stream.subscribe({
      complete: () => {
        throw "in complete";
      },
    });
    requests[0]!.sink.error(new Error("request"), "r1");
    requests[1]!.sink.complete();
    expect(reported).toEqual(["in error", "in complete"]);
  });
});

describe("TokenStream's operators", () => {
  const feed = (requests: FakeRequest[]): void => {
    for (const event of [token(0), { ...token(1), text: "" } as TokenEvent, token(2), end]) requests[0]!.sink.next(event);
    requests[0]!.sink.complete();
  };

  it("toText() gives deltas that join to the text; toUsage() the counts", () => {
    for (const [operator, expected] of [
      [toText(), ["t0", "t2", "."]],
      [toUsage(), [usage]],
    ] as const) {
      const { stream, requests } = fakeEngine();
      const seen: unknown[] = [];
      (stream.pipe(operator as ReturnType<typeof toText>) as Observable<unknown>).subscribe((value) => seen.push(value));
      feed(requests);
      expect(seen).toEqual(expected);
    }
  });

  it("text() and usage() consume one request each", async () => {
    const { stream, requests } = fakeEngine();
    const text = stream.text();
    feed(requests);
    expect(await text).toBe("t0t2.");
    const counted = stream.usage();
    feed([requests[1]!]);
    expect(await counted).toEqual(usage);
  });

  it("toWebStream() pulls, pauses a request whose reader lags, and cancels", async () => {
    const { stream, requests } = fakeEngine(2);
    const reader = toWebStream(stream).getReader();
    await new Promise(setImmediate);
    const { sink, calls } = requests[0]!;
    for (let i = 0; i < 4; i++) sink.next(token(i));
    expect(calls).toEqual(["pause"]);
    for (let i = 0; i < 4; i++) expect((await reader.read()).value).toEqual(token(i));
    expect(calls).toEqual(["pause", "resume"]);
    await reader.cancel();
    expect(calls.at(-1)).toBe("cancel");
  });

  it("toWebStream() behind operators delivers, ends, errors, aborts and cancels", async () => {
    const { stream, requests } = fakeEngine();
    const text = (signal?: AbortSignal): ReadableStreamDefaultReader<string> =>
      toWebStream(stream.pipe(toText()), signal ? { signal } : {}).getReader();
    const whole = text();
    feed(requests);
    const read: string[] = [];
    for (let result = await whole.read(); !result.done; result = await whole.read()) read.push(result.value);
    expect(read.join("")).toBe("t0t2.");
    const failed = text();
    requests[1]!.sink.error(new Error("broken"), "r1");
    await expect(failed.read()).rejects.toThrow("broken");
    const controller = new AbortController();
    const aborted = text(controller.signal);
    controller.abort(new Error("enough"));
    await expect(aborted.read()).rejects.toThrow("enough");
    expect(requests[2]!.calls).toEqual(["cancel"]);
    const cancelled = text();
    await cancelled.cancel();
    expect(requests[3]!.calls).toEqual(["cancel"]);
    await expect(text(AbortSignal.abort(new Error("before"))).read()).rejects.toThrow("before");
    expect(requests).toHaveLength(4);
  });
});

describe("TokenStream as an async iterable", () => {
  it("answers reads made ahead, in order, then the end to each", async () => {
    const { stream, requests } = fakeEngine();
    const iterator = stream[Symbol.asyncIterator]();
    const reads = [iterator.next(), iterator.next(), iterator.next()];
    requests[0]!.sink.next(token(0));
    requests[0]!.sink.complete();
    expect(await Promise.all(reads)).toEqual([
      { done: false, value: token(0) },
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
    expect(requests).toHaveLength(1);
  });

  it("gives buffered tokens before an error, once; an abort drops them", async () => {
    for (const [error, buffered] of [
      [new Error("late"), 2],
      [new AbortedError("now"), 0],
    ] as const) {
      const { stream, requests } = fakeEngine();
      const iterator = stream[Symbol.asyncIterator]();
      const first = iterator.next();
      for (let i = 0; i < 3; i++) requests[0]!.sink.next(token(i));
      requests[0]!.sink.error(error, "r1");
      await first;
      for (let i = 0; i < buffered; i++) expect((await iterator.next()).done).toBe(false);
      await expect(iterator.next()).rejects.toBe(error);
      expect((await iterator.next()).done).toBe(true);
    }
  });

  it("pauses at the limit and resumes at half, without losing order over many events", async () => {
    const { stream, requests } = fakeEngine(8);
    const iterator = stream.events();
    const first = iterator.next();
    const { sink, calls } = requests[0]!;
    for (let i = 0; i < 5000; i++) sink.next(token(i));
    await first;
    expect(calls).toEqual(["pause"]);
    for (let i = 1; i < 5000; i++) expect((await iterator.next()).value).toEqual(token(i));
    expect(calls).toEqual(["pause", "resume"]);
  });

  it("cancels on return and throw, before the start too, and passes its signal on", async () => {
    const { stream, requests } = fakeEngine();
    await stream[Symbol.asyncIterator]().return!();
    expect(requests).toHaveLength(0);
    const { signal } = new AbortController();
    const iterator = stream.events({ signal });
    const pending = iterator.next();
    expect(requests[0]!.signal).toBe(signal);
    await expect(iterator.throw!(new Error("mine"))).rejects.toThrow("mine");
    expect(await pending).toEqual({ done: true, value: undefined });
    expect(requests[0]!.calls).toEqual(["cancel"]);
    requests[0]!.sink.next(token(0));
    expect((await iterator.next()).done).toBe(true);
  });
});

describe("EventHub", () => {
  it("is hot, and outlives listeners and an onError that throw", () => {
    const hub = new EventHub(
      [
        {
          onEvent: () => {
            throw new Error("observer");
          },
        },
      ],
      () => {
        throw new Error("onError");
      },
    );
    const seen: string[] = [];
    hub.emit({ type: "request-scheduled", requestId: "early" });
    hub.events$.subscribe(() => {
      throw new Error("subscriber");
    });
    hub.events$.subscribe((event) => seen.push("requestId" in event ? event.requestId : ""));
    hub.emit({ type: "request-scheduled", requestId: "a" });
    hub.emit({ type: "request-scheduled", requestId: "b" });
    expect(seen).toEqual(["a", "b"]);
  });
});
