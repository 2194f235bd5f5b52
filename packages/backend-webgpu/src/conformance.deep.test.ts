/** The contract's conformance suite on WebGPU: logits within 1e-3 of Hugging Face's, greedy tokens the same. */
import { describeBackend } from "@weir/core/testing";
import { describe, it } from "vitest";
import { findTestGpu, titled } from "./testing-support/test-gpu.js";
import { backendFixture, FIXTURE_MODELS, fixtureFolder } from "./testing-support/test-models.js";
import { webgpuBackend } from "./webgpu-backend.js";

const found = await findTestGpu();
const { gpu } = found;

if (gpu) {
  await describeBackend({
    name: "webgpu",
    createBackend: () => webgpuBackend({ gpu }),
    tolerances: { logits: 1e-3 },
    fixtures: FIXTURE_MODELS.map((name) => backendFixture(name, fixtureFolder(name))),
  });
} else {
  describe.skip(titled("backend webgpu", found), () => it("conforms", () => {}));
}
