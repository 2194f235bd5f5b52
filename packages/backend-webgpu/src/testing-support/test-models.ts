/** The models that tests run, and what a reference implementation says of them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openModelFolder } from "@weir/core/node";
import type { BackendFixture, ExpectedCase } from "@weir/core/testing";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));

/** Random weights, three layers; each with another head size, group, rotary scaling and head, one with biases. */
export const FIXTURE_MODELS: readonly string[] = ["llama", "llama3_rope", "llama_yarn"];

export function fixtureFolder(name: string): string {
  return join(ROOT, "fixtures/models", name);
}

export function expectedCases(folder: string): readonly ExpectedCase[] {
  return (JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as { cases: ExpectedCase[] }).cases;
}

export function backendFixture(name: string, folder: string): BackendFixture {
  return { name, open: () => openModelFolder(folder), cases: expectedCases(folder) };
}
