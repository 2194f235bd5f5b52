/** The contract's conformance suite on the stand-in: the graph that CUDA runs, through ONNX Runtime's WebGPU provider. */
import { NO_ADAPTER } from "./testing-support/software-adapter.js";
import { openModelFolder } from "@weir/core/node";
import { describeBackend } from "@weir/core/testing";
import { describe, it } from "vitest";
import { testBackend } from "./testing-support/stand-in.js";
import { expectedCases, fixtureFolder } from "./testing-support/test-models.js";

if (NO_ADAPTER === undefined) {
  await describeBackend({
    name: "cuda graph on WebGPU",
    createBackend: () => testBackend(),
    fixtures: ["llama", "llama3_rope"].map((name) => ({
      name,
      open: () => openModelFolder(fixtureFolder(name)),
      cases: expectedCases(name),
    })),
    tolerances: { logits: 2e-2 },
    skip: [
      {
        test: "gives the reference's greedy tokens",
        reason: "16-bit arithmetic may choose otherwise at near-ties; exactness.deep.test.ts compares by teacher forcing",
      },
    ],
  });
} else {
  describe("backend cuda graph on WebGPU", () => it.skip(`conforms (${NO_ADAPTER})`, () => {}));
}
