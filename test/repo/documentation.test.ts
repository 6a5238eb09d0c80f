// What is documented is what there is: error codes, limits, commands, files and links. Keys of the policy file are in
// configuration.test.ts, what is stored in storage.test.ts.
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { ERROR_CODES } from "../../src/errors.ts";
import { DEFENCE_CODES } from "../../src/sql/defence.ts";
import { defineGatehouse } from "../../src/config.ts";
import type { Gatehouse } from "../../src/config.ts";
import { codeBlocks } from "../support/node/markdown.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");
const DOCS = readdirSync(path.join(ROOT, "docs")).filter((file) => file.endsWith(".md"));
const PAGES = ["README.md", "CONTRIBUTING.md", "plugin/README.md", ...DOCS.map((file) => `docs/${file}`)];
/** Pages that also tell of what is planned. */
const PLANS = ["docs/design.md"];

/** What commands make in a clone: introspection and new:tool. */
const MADE = ["src/catalogue/crm.json", "src/server/tools/own/"];

/** The first cells of the tables' rows, without their back ticks. */
function firstCells(markdown: string): readonly string[] {
  return [...markdown.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? "");
}

/** The text without fenced blocks, whose lines can look like anything. */
const prose = (page: string): string => read(page).replaceAll(/^ *```[^]*?^ *```$/gm, "");

/** A heading as GitHub makes an anchor of it. */
function anchorsOf(page: string): readonly string[] {
  return [...prose(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

describe("documentation", () => {
  it("explains every error code, and no other", () => {
    expect(firstCells(read("docs/errors.md")).toSorted()).toEqual([...ERROR_CODES].toSorted());
  });

  it("explains every code that the log has for a refusal by a defence, and no other", () => {
    const [, section = ""] = /^## Refusals by a defence\n([^]*?)^## /m.exec(read("docs/operating.md")) ?? [];
    expect(firstCells(section).toSorted()).toEqual([...DEFENCE_CODES].toSorted());
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

  it.each(["wrangler.jsonc", "sample/wrangler.jsonc"])("explains every rate limit as %s has it", (file) => {
    const limits = [...read(file).matchAll(/"name": "(LIMIT_\w+)".*"limit": (\d+), "period": 60 /g)];
    expect(limits).toHaveLength(4);
    for (const [, name, limit] of limits)
      expect(read("docs/operating.md")).toContain(`| \`${name}\` | ${limit} a minute |`);
  });

  it("begins with a policy file that loads", async () => {
    const [example = ""] = codeBlocks(read("README.md"), "ts");
    const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-readme-"));
    try {
      const file = path.join(folder, "gatehouse.config.ts");
      writeFileSync(file, example.replace("./config.ts", pathToFileURL(path.join(ROOT, "src/config.ts")).href));
      const loaded: { default: Gatehouse } = await import(/* @vite-ignore */ file);
      expect(loaded.default.policy.roles).toHaveLength(1);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("has a changelog entry for this version", () => {
    const { version }: { version: string } = JSON.parse(read("package.json"));
    expect(read("CHANGELOG.md")).toContain(`## ${version}`);
  });
});

describe("commands", () => {
  const { scripts }: { scripts: Record<string, string> } = JSON.parse(read("package.json"));
  const shown = PAGES.flatMap((page) =>
    [...read(page).matchAll(/\bnpm (?:run )?(?!run\b)([a-z:-]+)/g)].map(([command, name = ""]) => ({ command, name })),
  );

  it("are all there", () => {
    const named = shown.filter(({ command }) => command.startsWith("npm run"));
    expect(named.length).toBeGreaterThan(20);
    for (const { name } of named) expect(Object.keys(scripts)).toContain(name);
  });

  it("are all explained, but those that npm runs before others", () => {
    const told = new Set(shown.map(({ name }) => name));
    const own = Object.keys(scripts).filter(
      (name) => scripts[name.replace(/^pre/, "")] === undefined || !name.startsWith("pre"),
    );
    expect(own.filter((name) => !told.has(name))).toEqual([]);
  });
});

describe.each(PAGES)("%s", (page) => {
  it("links to pages and headings that there are", () => {
    for (const [, target = "", anchor] of prose(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)) {
      const file = target === "" ? page : path.join(path.dirname(page), target);
      expect(existsSync(path.join(ROOT, file)), `${page} → ${file}`).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(file), `${page} → ${file}`).toContain(anchor);
    }
  });

  it.skipIf(PLANS.includes(page))("names files and folders that there are", () => {
    const named = prose(page).matchAll(/`((?:src|test|docs|scripts|sample|plugin|migrations|bench)\/[\w./-]*)`/g);
    for (const [, file = ""] of named)
      expect(MADE.includes(file) || existsSync(path.join(ROOT, file)), `${page}: ${file}`).toBe(true);
  });
});

describe("the docs index", () => {
  it("lists every page", () => {
    const index = read("docs/README.md");
    for (const page of DOCS.filter((file) => file !== "README.md")) expect(index).toMatch(new RegExp(`\\(${page}[)#]`));
  });
});
