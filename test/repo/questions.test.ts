// test/repo/questions.md: twenty questions about the code, each with the path that answers it.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = path.resolve(import.meta.dirname, "../..");
const text = readFileSync(path.join(ROOT, "test/repo/questions.md"), "utf8");
const rows = [...text.matchAll(/^\| \d+ \| (.+\?) \| `([^`]+)` \|$/gm)].map(([, question = "", file = ""]) => ({
  question,
  file,
}));

describe("questions.md", () => {
  it("asks twenty different questions", () => {
    expect(new Set(rows.map(({ question }) => question)).size).toBe(20);
  });

  it.each(rows)('answers "$question" with a file that exists', ({ file }) => {
    expect(existsSync(path.join(ROOT, file))).toBe(true);
  });
});
