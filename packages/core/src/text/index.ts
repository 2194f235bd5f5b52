export { encodeBounded, renderBounded, type TextLimits } from "./bounded.js";
export { HfTokenizer } from "./hf-tokenizer.js";
export { IncrementalDetokenizer } from "./incremental-detokenizer.js";
export { type ChatTemplateOptions, JinjaChatTemplate } from "./jinja-chat-template.js";
export { specialTokenNames, type TokenizerConfigJson } from "./tokenizer-json.js";
