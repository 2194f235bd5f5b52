/**
 * Quantizers by name. Called by users and backends (`createQuantizer`, `defaultQuantizer`), and in a backend's worker
 * with the options that a quantizer's `module` names.
 */
import { InvalidOptionsError, type Quantizer, type WeightScheme } from "@weir/core";
import { Float32Quantizer } from "./float32-quantizer.js";
import { Int4GroupQuantizer } from "./int4-group-quantizer.js";
import { Int8Quantizer } from "./int8-quantizer.js";

/** What identifies a quantizer of ours; plain data. */
export type QuantizerOptions =
  | { readonly scheme: "f32" }
  | { readonly scheme: "int8"; readonly bits?: 7 | 8 }
  | { readonly scheme: "int4-g32" | "int4-g64" | "int4-g128"; readonly asymmetric?: boolean; readonly search?: boolean };

/**
 * @param options a scheme's name, or the scheme with its quantizer's options
 * @example createQuantizer({ scheme: "int4-g64", search: true })
 * @throws InvalidOptionsError for an unknown scheme or option value
 */
export function createQuantizer(options: WeightScheme | QuantizerOptions): Quantizer {
  const named = (typeof options === "string" ? { scheme: options } : options) as QuantizerOptions;
  checkNames(named);
  switch (named.scheme) {
    case "f32":
      return new Float32Quantizer();
    case "int8":
      return new Int8Quantizer(named);
    case "int4-g32":
      return new Int4GroupQuantizer({ ...named, groupSize: 32 });
    case "int4-g64":
      return new Int4GroupQuantizer({ ...named, groupSize: 64 });
    case "int4-g128":
      return new Int4GroupQuantizer({ ...named, groupSize: 128 });
  }
}

/** The quantizer used for a scheme unless another is injected: round to nearest. */
export function defaultQuantizer(scheme: WeightScheme): Quantizer {
  return createQuantizer(scheme);
}

const INT4_OPTIONS = ["asymmetric", "search"];

/** Options of each scheme beside `scheme`. */
const OPTIONS: Readonly<Record<QuantizerOptions["scheme"], readonly string[]>> = {
  f32: [],
  int8: ["bits"],
  "int4-g32": INT4_OPTIONS,
  "int4-g64": INT4_OPTIONS,
  "int4-g128": INT4_OPTIONS,
};

function checkNames({ scheme, ...rest }: QuantizerOptions): void {
  if (!Object.hasOwn(OPTIONS, scheme)) {
    throw new InvalidOptionsError(`scheme is ${JSON.stringify(scheme)}; it takes ${Object.keys(OPTIONS).join(", ")}`);
  }
  const unknown = Object.keys(rest).find((name) => !OPTIONS[scheme].includes(name));
  if (unknown === undefined) return;
  throw new InvalidOptionsError(
    `scheme ${scheme} has no option ${JSON.stringify(unknown)}; it takes ${OPTIONS[scheme].join(", ") || "none"}`,
  );
}
