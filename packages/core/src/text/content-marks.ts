/**
 * Finds where message content landed in a rendered chat, so that the tokenizer can treat it as plain text.
 * In: the plain rendering and a way to render again. Out: spans.
 *
 * The messages are rendered once more with invisible marks around their contents. Where taking the marks out gives
 * the plain text again, the marks say where each content is. A template that trims, cuts or tests its contents can
 * lose marks or take another branch, so there are three ways of marking, and for a lost mark the span grows as far
 * as text and content agree. When no way works, and any content could hold a special token at all, the whole text
 * is one span: role markers then become plain text too, which costs quality but lets nobody forge a role.
 */
import type { ChatMessage, TextSpan } from "../contracts/index.js";
import { anyRisky, hasRiskyKey, isRisky, mayRemain } from "./risky-text.js";

type Render = (messages: readonly ChatMessage[], tools: readonly unknown[] | undefined) => string;
/** Puts marks into one string; `wrap` numbers them. */
type Marking = (value: string, wrap: (piece: string) => string) => string;

/** Trims keep the marks when these stand inside the outer white space. */
const aroundText: Marking = (value, wrap) => {
  const core = value.trim();
  const start = value.indexOf(core);
  return core === "" ? value : value.slice(0, start) + wrap(core) + value.slice(start + core.length);
};
/** Survives templates that cut contents at tags such as `</think>`. */
const betweenTags: Marking = (value, wrap) =>
  value
    .split(/(<[^<>]{1,64}>)/)
    .map((piece) => aroundText(piece, wrap))
    .join("");
/** Survives templates that look at how contents begin or end: the first and last character stay outside. */
const insideText: Marking = (value, wrap) => {
  const core = value.trim();
  const inner = core.slice(1, -1);
  const start = value.indexOf(core) + 1;
  return inner === "" ? value : value.slice(0, start) + wrap(inner) + value.slice(start + inner.length);
};

/**
 * @param text the plain rendering
 * @param render renders changed messages and tools in the same way
 * @returns ascending, not overlapping
 */
export function locateContents(
  text: string,
  messages: readonly ChatMessage[],
  tools: readonly unknown[] | undefined,
  render: Render,
): readonly TextSpan[] {
  if (hasRiskyKey(messages) || hasRiskyKey(tools)) return [{ start: 0, end: text.length }];
  const marks = chooseMarks(text + JSON.stringify([messages, tools ?? null]));
  for (const marking of [aroundText, betweenTags, insideText]) {
    const pieces: string[] = [];
    const wrap = (piece: string): string => marks.open + String(pieces.push(piece) - 1) + marks.open + piece + marks.close;
    const marked = tryRender(
      render,
      markMessages(messages, marking, wrap),
      markDeep(tools, marking, wrap) as readonly unknown[] | undefined,
    );
    const spans = marked === undefined ? undefined : readMarks(marked, text, marks, pieces);
    if (
      spans &&
      !mayRemain(
        text,
        merge(spans.spans),
        pieces.filter((_, index) => !spans.located.has(index)),
      )
    )
      return merge(spans.spans);
  }
  return anyRisky(messages, tools) ? [{ start: 0, end: text.length }] : [];
}

interface Marks {
  readonly open: string;
  readonly close: string;
}

/** Two private-use characters that occur nowhere in the input. */
function chooseMarks(input: string): Marks {
  const free: string[] = [];
  for (let code = 0xe000; code < 0xf900 && free.length < 2; code++) {
    const character = String.fromCharCode(code);
    if (!input.includes(character)) free.push(character);
  }
  const [open = "\ufdd0", close = "\ufdd1"] = free;
  return { open, close };
}

function tryRender(render: Render, messages: readonly ChatMessage[], tools: readonly unknown[] | undefined): string | undefined {
  try {
    return render(messages, tools);
  } catch {
    // A template may refuse marked contents; another marking is tried.
    return undefined;
  }
}

/** Content is always marked; other strings (names, arguments of tool calls) where they could hold a special token. */
function markMessages(messages: readonly ChatMessage[], marking: Marking, wrap: (piece: string) => string): ChatMessage[] {
  return messages.map(({ role, content, ...rest }) => ({
    ...(markDeep(rest, marking, wrap) as Record<string, unknown>),
    role,
    content: marking(content, wrap),
  }));
}

function markDeep(value: unknown, marking: Marking, wrap: (piece: string) => string): unknown {
  if (typeof value === "string") return isRisky(value) ? marking(value, wrap) : value;
  if (Array.isArray(value)) return value.map((item) => markDeep(item, marking, wrap));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, markDeep(item, marking, wrap)]));
}

interface LocatedSpans {
  readonly spans: TextSpan[];
  /** Indices of the pieces that have a mark left. */
  readonly located: ReadonlySet<number>;
}

/** undefined when the text without marks is not `text`. */
function readMarks(marked: string, text: string, marks: Marks, pieces: readonly string[]): LocatedSpans | undefined {
  const spans: TextSpan[] = [];
  const located = new Set<number>();
  const pattern = new RegExp(`${marks.open}(\\d+)${marks.open}|${marks.close}`, "g");
  let plain = "";
  let done = 0;
  let open: { readonly start: number; readonly piece: number } | undefined;
  let lastPiece = -1;
  const closeOpen = (): void => {
    const length = open ? sharedLength(text, open.start, pieces[open.piece]!) : 0;
    if (open && length >= LEAST_SHARED) spans.push({ start: open.start, end: open.start + length });
    open = undefined;
  };
  for (const match of marked.matchAll(pattern)) {
    plain += marked.slice(done, match.index);
    done = match.index + match[0].length;
    if (match[1] !== undefined) {
      closeOpen();
      lastPiece = Number(match[1]);
      open = { start: plain.length, piece: lastPiece };
      located.add(lastPiece);
    } else if (open) {
      spans.push({ start: open.start, end: plain.length });
      open = undefined;
    } else {
      // The opening mark was cut off, so the piece is one of those after the last seen.
      const piece = pieces.findIndex((candidate, index) => index > lastPiece && sharedBefore(plain, candidate) >= LEAST_SHARED);
      if (piece < 0) continue;
      spans.push({ start: plain.length - sharedBefore(plain, pieces[piece]!), end: plain.length });
      located.add((lastPiece = piece));
    }
  }
  plain += marked.slice(done);
  closeOpen();
  return plain === text ? { spans, located } : undefined;
}

/** No special token is shorter; less agreement is chance, and must not cover the template's own tokens. */
const LEAST_SHARED = 3;

/** How far `text` from `start` on agrees with the piece. */
function sharedLength(text: string, start: number, piece: string): number {
  let length = 0;
  while (length < piece.length && text[start + length] === piece[length]) length++;
  return length;
}

/** How far the end of `text` agrees with the end of the piece. */
function sharedBefore(text: string, piece: string): number {
  let length = 0;
  while (length < piece.length && text[text.length - 1 - length] === piece[piece.length - 1 - length]) length++;
  return length;
}

function merge(spans: readonly TextSpan[]): readonly TextSpan[] {
  const merged: { start: number; end: number }[] = [];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (end <= start) continue;
    if (last && start < last.end) last.end = Math.max(last.end, end);
    else merged.push({ start, end });
  }
  return merged;
}
