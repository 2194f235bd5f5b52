/** The contract's conformance suite on the CPU backend: f32 and int8 KV, and each family of weight schemes. */
import { describeBackend } from "@weir/core/testing";
import { cpuBackend } from "./cpu-backend.js";
import { TEST_CACHE } from "./testing-support/cpu-test-engine.js";
import { backendFixture, DEMO_MODEL, FIXTURE_MODELS, fixtureFolder } from "./testing-support/test-models.js";

const createBackend = (): ReturnType<typeof cpuBackend> => cpuBackend({ threads: 2, cacheDir: TEST_CACHE });
/** Compared with itself alone: only exact arithmetic meets the reference. */
const alone = { oracle: false };

await describeBackend({
  name: "cpu, f32 KV",
  createBackend,
  fixtures: FIXTURE_MODELS.map((name) => backendFixture(name, fixtureFolder(name))),
});

await describeBackend({
  name: "cpu, int8 KV",
  createBackend,
  load: { kvDtype: "int8" },
  fixtures: [backendFixture("llama", fixtureFolder("llama"), alone), backendFixture("tiny-shakespeare", DEMO_MODEL, alone)],
});

for (const weightScheme of ["int8", "int4-g128"] as const) {
  await describeBackend({
    name: `cpu, ${weightScheme} weights`,
    createBackend,
    load: { weightScheme },
    fixtures: [backendFixture("tiny-shakespeare", DEMO_MODEL, alone)],
  });
}
