import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EngineSequence } from "../engine/sequence.js";
import { InternalError } from "../errors/index.js";
import { PRIORITY_ORDER } from "./sequence-order.js";
import { WaitingQueue } from "./waiting-queue.js";

function sequence(seqId: number, priority = 0): EngineSequence {
  return new EngineSequence({ seqId, promptTokenIds: [1], maxTokens: 2, priority });
}

describe("WaitingQueue", () => {
  it("is a sorted list under random pushes, pops and removals", () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constant("push" as const), priority: fc.integer({ min: -3, max: 3 }) }),
      fc.record({ kind: fc.constant("pop" as const) }),
      fc.record({ kind: fc.constant("remove" as const), index: fc.nat({ max: 50 }) }),
    );
    const property = fc.property(fc.array(action, { maxLength: 200, size: "max" }), (actions) => {
      const queue = new WaitingQueue(PRIORITY_ORDER);
      const sorted: EngineSequence[] = [];
      for (const [id, act] of actions.entries()) {
        if (act.kind === "push") {
          const seq = sequence(id, act.priority);
          queue.push(seq);
          sorted.push(seq);
          sorted.sort(PRIORITY_ORDER.compare);
        } else if (sorted.length > 0) {
          const index = act.kind === "pop" ? 0 : act.index % sorted.length;
          expect(queue.remove(sorted[index]!)).toBe(true);
          sorted.splice(index, 1);
        }
        expect(queue.first()).toBe(sorted[0]);
        expect(queue.size).toBe(sorted.length);
      }
      expect(new Set(queue)).toEqual(new Set(sorted));
    });
    fc.assert(property);
  });

  it("passes over paused members until they are resumed, and then puts them back in their place", () => {
    const queue = new WaitingQueue(PRIORITY_ORDER);
    const [first, second, third] = [sequence(1), sequence(2), sequence(3)];
    for (const seq of [third, first, second]) queue.push(seq!);
    first!.paused = true;
    expect(queue.first()).toBe(second);
    expect(queue.size).toBe(3);
    first!.paused = false;
    expect(queue.first()).toBe(second);
    queue.takeBackResumed();
    expect(queue.first()).toBe(first);
    third!.paused = true;
    expect(queue.remove(third!)).toBe(true);
    expect(queue.remove(third!)).toBe(false);
    expect(queue.size).toBe(2);
  });

  it("refuses a member that it has", () => {
    const queue = new WaitingQueue(PRIORITY_ORDER);
    const seq = sequence(1);
    queue.push(seq);
    expect(() => queue.push(seq)).toThrow(InternalError);
  });
});
