// What is documented is what there is: error codes, configuration keys, commands.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { ERROR_CODES } from "../../src/errors.ts";
import { defineGatehouse } from "../../src/config.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");

/** The first cells of the tables' rows, without their back ticks. */
function firstCells(markdown: string): readonly string[] {
  return [...markdown.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? "");
}

describe("documentation", () => {
  it("explains every error code, and no other", () => {
    expect(firstCells(read("docs/errors.md")).toSorted()).toEqual([...ERROR_CODES].toSorted());
  });

  it("explains every limit with its default", () => {
    const { limits } = defineGatehouse({
      organisation: { name: "x", contact: "x" },
      sources: {},
      roles: {},
      members: [],
    });
    const operating = read("docs/operating.md");
    for (const [name, value] of Object.entries(limits))
      expect(operating).toContain(`| \`limits.${name}\` | ${value.toLocaleString("en-GB")} |`);
    expect(firstCells(operating).filter((cell) => cell.startsWith("limits."))).toHaveLength(Object.keys(limits).length);
  });

  it("names only commands that exist", () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(read("package.json"));
    const text = ["README.md", "CONTRIBUTING.md", "docs/operating.md"].map(read).join("\n");
    for (const [, name = ""] of text.matchAll(/npm run ([a-z:-]+)/g)) expect(Object.keys(scripts)).toContain(name);
  });

  it("has a changelog entry for this version", () => {
    const { version }: { version: string } = JSON.parse(read("package.json"));
    expect(read("CHANGELOG.md")).toContain(`## ${version}`);
  });
});
