import { beforeAll, describe, it } from "vitest";
import { checkAgreement } from "./testing-support/attention-agreement.js";

beforeAll(async () => {
  await (await import("./build-kernels.mjs")).buildKernels();
});

describe("wasm attention, at length", () => {
  it("agrees with the f64 reference over many random shapes", async () => {
    await checkAgreement(300);
  });
});
