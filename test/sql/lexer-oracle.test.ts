// Compares the tokenizer with SQLite on random text: lexer tokens begin and end where SQLite's do, and names and strings have the text that
// SQLite reads. The sample here is bounded; `npm run fuzz:sql` runs longer.
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { ALLOW, openEngine } from "../../src/sql/engine/sqlite.ts";
import { tokenize } from "../../src/sql/lexer.ts";
import { createRandom } from "./fuzz/generator.ts";

const DEFAULT_TEXTS = 20_000;
/** Pieces at the edges of the tokenizer's rules, which the test puts next to each other at random. */
const PIECES = [
  ..."'\"`[]()+-*/%|&<>=!~,.?:@#$;xX0123456789eE_ \t\n\r\f".split(""),
  ..."a b é € 🙂 \u2028 '' \"\" `` -- /* */ -> ->> || << >> <= >= <> == !=".split(" "),
  ..."x'0a' X'' 0x 0xF 1e 1e5 1.5 .5 1_0 1__0 ?1 ::b a.b select from".split(" "),
  "\u00a0",
];
const PREFIX = "SELECT ";

const engine = openEngine();

/** Returns SQLite's verdict on a statement, without the offset of an error. */
function judge(sql: string): string {
  const compiled = engine.compile(sql, () => ALLOW);
  return compiled.ok ? `ok ${JSON.stringify(compiled.columns)}` : compiled.message;
}

/** Whether SQLite's tokenizer accepts the text, even if its grammar does not. */
function isRecognised(text: string): boolean {
  return !judge(text).startsWith("unrecognized token");
}

it("splits random text into the same lexer tokens as SQLite", { timeout: 24 * 3_600_000 }, () => {
  const random = createRandom(Number(env.FUZZ_SEED));
  const texts = Number(env.FUZZ_MINUTES) > 0 ? DEFAULT_TEXTS * 20 : DEFAULT_TEXTS;
  let compared = 0;
  for (let count = 0; count < texts; count += 1) {
    const length = 1 + Math.floor(random() * 8);
    const body = Array.from({ length }, () => PIECES[Math.floor(random() * PIECES.length)] ?? "").join("");
    const text = `${PREFIX}${body}`;
    const tokens = tokenize(text);
    const last = tokens.at(-1);
    // SQLite reads only up to the first semicolon; layer 1 refuses every semicolon inside a statement.
    if (tokens.some(({ kind, value }) => kind === "operator" && value === ";")) continue;
    compared += 1;
    if (last?.kind === "illegal") {
      // Illegal text must not run. Only an unterminated comment is legal in SQLite, and ends the text.
      if (last.value.startsWith("/*")) continue;
      expect(judge(text), JSON.stringify(text)).not.toMatch(/^ok/);
      continue;
    }
    expect(isRecognised(text), JSON.stringify(text)).toBe(true);
    // A line feed between any two lexer tokens must change nothing, so that none is part of another, and none is two.
    const separated = tokens
      .map((token) => (token.kind === "comment" ? " " : text.slice(token.start, token.end)))
      .join("\n");
    expect(normalise(judge(separated)), JSON.stringify([text, separated])).toBe(normalise(judge(text)));
  }
  expect(compared).toBeGreaterThan(texts * 0.8);
});

/** Drops the names of result columns, which repeat the text as written, and normalises spaces in messages. */
function normalise(verdict: string): string {
  return verdict.startsWith("ok") ? "ok" : verdict.replace(/\s+/g, " ");
}

it("reads the same text in quotes as SQLite", () => {
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
    // SQLite accepts a comment up to the end of the text; layer 1 refuses it if it is not closed.
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
