// Pages of a text: joined they are the text, no character is split, and untrusted text is fenced on every page.
import { expect, it } from "vitest";
import { takePage } from "../../src/answers/text-pages.ts";
import { createRandom } from "../sql/fuzz/generator.ts";
import { fence } from "../../src/answers/untrusted-text.ts";

/** Reads all pages of a text. */
function readPages(text: string, pageCharacters: number, isFenced = false): readonly string[] {
  const options = { pageCharacters, isFenced };
  const pages = takePage(text, 1, options)?.pages ?? 0;
  expect(takePage(text, pages + 1, options)).toBeUndefined();
  return Array.from({ length: pages }, (_value, index) => {
    const taken = takePage(text, index + 1, options);
    expect(taken?.pages).toBe(pages);
    return taken?.text ?? "";
  });
}

/** Parts of which texts are made: characters of one to eleven UTF-16 units. */
const PARTS = ["a", "é", "e\u0301", "🦀", "👩‍🚀", "👍🏽", "\r\n", "\n", "漢", "\u200b", "⟦", "⟧", "\\u{", "}"];

/** Gives whole numbers from 0 to `limit` - 1, the same ones for a seed. */
function createNumbers(seed: number): (limit: number) => number {
  const random = createRandom(seed);
  return (limit) => Math.floor(random() * limit);
}

it.each(Array.from({ length: 200 }, (_value, seed) => seed))("gives text %i back from its pages", (seed) => {
  const next = createNumbers(seed);
  const text = Array.from({ length: next(200) }, () => PARTS[next(PARTS.length)]).join("");
  const pageCharacters = 1 + next(40);
  const pages = readPages(text, pageCharacters);
  expect(pages.join("")).toBe(text);
  for (const page of pages) {
    expect(page.isWellFormed()).toBe(true);
    expect(page.length).toBeLessThanOrEqual(Math.max(2, pageCharacters));
    if (pageCharacters > 11) expect(page).not.toMatch(/^\p{M}|^\u200d|\r$/u);
  }
});

it.each(Array.from({ length: 200 }, (_value, seed) => seed))("fences every page of the untrusted text %i", (seed) => {
  const next = createNumbers(seed);
  const text = fence(Array.from({ length: next(200) }, () => PARTS[next(PARTS.length)]).join(""));
  const pages = readPages(text, 20 + next(40), true);
  for (const page of pages) expect(page).toMatch(/^⟦[^⟦⟧]*⟧$/);
  expect(`⟦${pages.map((page) => page.slice(1, -1)).join("")}⟧`).toBe(text);
});

it("does not fence what is outside of a fence", () => {
  const text = `${"a".repeat(30)}${fence("b".repeat(30))}${"c".repeat(30)}`;
  expect(readPages(text, 20, true)).toEqual([
    "a".repeat(20),
    `${"a".repeat(10)}⟦${"b".repeat(9)}⟧`,
    `⟦${"b".repeat(20)}⟧`,
    `⟦b⟧${"c".repeat(18)}`,
    "c".repeat(12),
  ]);
});

it("does not split the escape of an invisible character", () => {
  const pages = readPages(fence("\u200b".repeat(50)), 25, true);
  for (const page of pages) expect(page).toMatch(/^⟦(?:\\u\{200B\})+⟧$/);
});

it("takes a page of five million characters of fenced text in under two seconds", () => {
  const startedAtMs = performance.now();
  takePage(`${fence("x")}${"a".repeat(5_000_000)}`, 1, { pageCharacters: 200, isFenced: true });
  expect(performance.now() - startedAtMs).toBeLessThan(2000);
});
