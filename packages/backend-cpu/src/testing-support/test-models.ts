/** The models that tests of the CPU backend run, and what a reference implementation says of them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openModelFolder } from "@weir/core/node";
import type { BackendFixture, ExpectedCase } from "@weir/core/testing";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));

/** 5 M parameters, 1,024 positions, a vocabulary of 2,048. */
export const DEMO_MODEL: string = join(ROOT, "packages/cli/model/tiny-shakespeare");

/** Random weights, three layers, 512 positions; each with another head size, group, rotary scaling and head. */
export const FIXTURE_MODELS: readonly string[] = ["llama", "llama3_rope", "llama_yarn"];

export function fixtureFolder(name: string): string {
  return join(ROOT, "fixtures/models", name);
}

export function expectedCases(folder: string): readonly ExpectedCase[] {
  return (JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as { cases: ExpectedCase[] }).cases;
}

/** For the conformance suite. `oracle: false` leaves out what only exact arithmetic can meet. */
export function backendFixture(name: string, folder: string, { oracle = true }: { readonly oracle?: boolean } = {}): BackendFixture {
  const cases = expectedCases(folder).map((each) => (oracle ? each : { prompt_ids: each.prompt_ids }));
  return { name, open: () => openModelFolder(folder), cases };
}
