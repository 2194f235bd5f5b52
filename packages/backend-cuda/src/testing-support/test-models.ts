/** The models that tests run, and what Hugging Face says of them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExpectedCase } from "@weir/core/testing";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));

export function fixtureFolder(name: string): string {
  return join(ROOT, "fixtures/models", name);
}

export function expectedCases(name: string): readonly Required<ExpectedCase>[] {
  return (JSON.parse(readFileSync(join(fixtureFolder(name), "expected.json"), "utf8")) as { cases: Required<ExpectedCase>[] }).cases;
}
