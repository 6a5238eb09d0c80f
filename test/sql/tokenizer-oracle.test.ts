// The tokenizer against SQLite itself: on random text, where our tokens begin and end is where SQLite's do, and what a name
// or string says is what SQLite reads. A bounded sample; `npm run fuzz:sql` goes on for longer.
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { ALLOW, openEngine } from "../../src/sql/engine/sqlite.ts";
import { tokenize } from "../../src/sql/tokenizer.ts";
import { createRandom } from "./fuzz/generator.ts";

const DEFAULT_TEXTS = 20_000;
/** Pieces that meet the tokenizer's rules at their edges, put next to each other at random. */
const PIECES = [
  ..."'\"`[]()+-*/%|&<>=!~,.?:@#$;xX0123456789eE_ \t\n\r\f".split(""),
  ..."a b é € 🙂 \u2028 '' \"\" `` -- /* */ -> ->> || << >> <= >= <> == != x'0a' X'' 0x 0xF 1e 1e5 1.5 .5 1_0 1__0 ?1 ::b a.b select from".split(
    " ",
  ),
  "\u00a0",
];
const SEEN_FIRST = "SELECT ";

const engine = openEngine();

/** SQLite's verdict on a statement, without the place that it names. */
function verdictOf(sql: string): string {
  const compiled = engine.compile(sql, () => ALLOW);
  return compiled.ok ? `ok ${JSON.stringify(compiled.columns)}` : compiled.message;
}

/** Whether SQLite's tokenizer takes the text: a grammar that fits comes later. */
function isRecognised(text: string): boolean {
  return !verdictOf(text).startsWith("unrecognized token");
}

it("cuts where SQLite cuts", { timeout: 24 * 3_600_000 }, () => {
  const random = createRandom(Number(env.FUZZ_SEED));
  const texts = Number(env.FUZZ_MINUTES) > 0 ? DEFAULT_TEXTS * 20 : DEFAULT_TEXTS;
  let compared = 0;
  for (let count = 0; count < texts; count += 1) {
    const length = 1 + Math.floor(random() * 8);
    const body = Array.from({ length }, () => PIECES[Math.floor(random() * PIECES.length)] ?? "").join("");
    const text = `${SEEN_FIRST}${body}`;
    const tokens = tokenize(text);
    const last = tokens.at(-1);
    // A statement ends at the first semicolon, and SQLite looks no further; layer 1 refuses any.
    if (tokens.some(({ kind, value }) => kind === "operator" && value === ";")) continue;
    compared += 1;
    if (last?.kind === "illegal") {
      // What is illegal to us must not run. Unterminated comments alone are legal to SQLite, and end the text.
      if (last.value.startsWith("/*")) continue;
      expect(verdictOf(text), JSON.stringify(text)).not.toMatch(/^ok/);
      continue;
    }
    expect(isRecognised(text), JSON.stringify(text)).toBe(true);
    // A line feed between any two tokens changes nothing: so each is whole, and none is two.
    const apart = tokens
      .map((token) => (token.kind === "comment" ? " " : text.slice(token.start, token.end)))
      .join("\n");
    expect(normalised(verdictOf(apart)), JSON.stringify([text, apart])).toBe(normalised(verdictOf(text)));
  }
  expect(compared).toBeGreaterThan(texts * 0.8);
});

/** Names of result columns are the text as written: only whether it ran counts, or what was wrong. */
function normalised(verdict: string): string {
  return verdict.startsWith("ok") ? "ok" : verdict.replace(/\s+/g, " ");
}

it("reads what SQLite reads", () => {
  const random = createRandom(Number(env.FUZZ_SEED) + 1);
  const inner = [..."ab'\"`[].-/*".split(""), " ", "é", "€", "🙂", "''", '""', "``"];
  for (let count = 0; count < 5000; count += 1) {
    const quote = ["'", '"', "`", "["][Math.floor(random() * 4)] ?? "'";
    const close = quote === "[" ? "]" : quote;
    const content = Array.from(
      { length: Math.floor(random() * 6) },
      () => inner[Math.floor(random() * inner.length)] ?? "",
    ).join("");
    const text = `SELECT 1 AS ${quote}${content}${close}`;
    const token = tokenize(text).at(-1);
    // A comment to the end of the text, which SQLite takes and layer 1 refuses when it is not closed.
    if (token?.kind === "comment" || token?.value.startsWith("/*")) continue;
    const compiled = engine.compile(text, () => ALLOW);
    if (token?.kind !== "quoted" && token?.kind !== "string") {
      expect(compiled.ok, text).toBe(false);
      continue;
    }
    if (token.end !== text.length || tokenize(text).length !== 7) continue;
    expect(compiled, text).toMatchObject({ ok: true, columns: [token.value] });
  }
});
