// Checks that the documentation matches the code: error codes, limits, commands, files and links. configuration.test.ts checks the keys
// of the policy file, and storage.test.ts checks what is stored.
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { ERROR_CODES } from "../../src/errors.ts";
import { REFUSAL_CAUSES } from "../../src/audit/refused-requests.ts";
import { SPAN_NAMES } from "../../src/lib/spans.ts";
import { DEFENCE_CODES } from "../../src/sql/defence-refusal.ts";
import { limitsSchema } from "../../src/config/limits.ts";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { codeBlocks } from "../support/markdown.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");
const DOCS = readdirSync(path.join(ROOT, "docs"), { recursive: true, encoding: "utf8" }).filter((file) =>
  file.endsWith(".md"),
);
const EXAMPLES = readdirSync(path.join(ROOT, "examples"), { recursive: true, encoding: "utf8" }).filter((file) =>
  file.endsWith(".md"),
);
const PAGES = [
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "plugin/README.md",
  ...DOCS.map((file) => `docs/${file}`),
  ...EXAMPLES.map((file) => `examples/${file}`),
];
/** Pages that also describe plans, and so may name files that do not exist yet. */
const PLANS = ["docs/roadmap.md"];

/** Files that `npm run introspect` and `npm run new:tool` create in a clone. */
const MADE = ["src/introspected-schema/crm.json", "src/server/tools/custom/"];

/** Reads the causes as text, because their module needs the platform's types, which the Node configuration lacks. */
function readHealthCauses(): readonly string[] {
  const [, list = ""] = /HEALTH_CAUSES = \[([^\]]*)\]/.exec(read("src/app/health.ts")) ?? [];
  return [...list.matchAll(/"(\w+)"/g)].map(([, cause = ""]) => cause);
}

/** Returns the first cell of each table row that begins with code, without the back ticks. */
function firstCells(markdown: string): readonly string[] {
  return [...markdown.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1] ?? "");
}

/** The page's text without fenced blocks. */
const prose = (page: string): string => read(page).replaceAll(/^ *```[^]*?^ *```$/gm, "");

/** The anchors that GitHub creates for the page's headings. */
function anchorsOf(page: string): readonly string[] {
  return [...prose(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** The part of the JSON schema of the limits that the test reads. */
interface LimitsJsonSchema {
  readonly properties: Readonly<Record<string, { readonly minimum?: number; readonly maximum?: number }>>;
}

/** Writes a number with commas between the thousands, as the documentation does. */
const grouped = (value: number): string => value.toLocaleString("en-GB");

/** The longest line of prose, without code and the targets of links. */
const MAX_PROSE_COLUMNS = 200;

describe("documentation", () => {
  it.each(PAGES)("has no line over 200 characters in %s, except table rows, links and code", (page) => {
    const lines = prose(page).split("\n");
    const long = lines.filter(
      (line) => !line.startsWith("|") && line.replaceAll(/`[^`]*`|\]\([^)]*\)/g, "").length > MAX_PROSE_COLUMNS,
    );
    expect(long).toEqual([]);
  });

  it("explains exactly the existing error codes", () => {
    expect(firstCells(read("docs/errors.md")).toSorted()).toEqual([...ERROR_CODES].toSorted());
  });

  it("explains exactly the log's codes for refusals by a defence", () => {
    const [, section = ""] = /^## Refusals by a defence\n([^]*?)^## /m.exec(read("docs/maintaining.md")) ?? [];
    expect(firstCells(section).toSorted()).toEqual([...DEFENCE_CODES].toSorted());
  });

  it.each([
    ["spans of a trace", "Traces", SPAN_NAMES],
    ["causes of refused requests", "Requests refused before sign-in", REFUSAL_CAUSES],
    ["causes of a failed health check", "Watch whether it is up", readHealthCauses()],
  ])("explains exactly the existing %s", (_subject, heading, names) => {
    const section = read("docs/maintaining.md")
      .split(/^## /m)
      .find((part) => part.startsWith(`${heading}\n`));
    expect(names.length).toBeGreaterThan(2);
    expect(firstCells(section ?? "").toSorted()).toEqual([...names].toSorted());
  });

  it("lists every limit with its default and the values that it takes", () => {
    const defaults = limitsSchema.parse({});
    const { properties }: LimitsJsonSchema = JSON.parse(JSON.stringify(z.toJSONSchema(limitsSchema, { io: "input" })));
    const page = read("docs/limits.md");
    for (const [name, value] of Object.entries(defaults)) {
      const { minimum = 0, maximum = Infinity } = properties[name] ?? {};
      const takes =
        maximum < Number.MAX_SAFE_INTEGER
          ? `${grouped(minimum)} to ${grouped(maximum)}`
          : `${grouped(minimum)} or more`;
      expect(page).toContain(`| \`limits.${name}\` | ${grouped(value)} | ${takes} |`);
    }
    expect(firstCells(page).filter((cell) => cell.startsWith("limits."))).toHaveLength(Object.keys(defaults).length);
  });

  it.each(["wrangler.jsonc", "sample/wrangler.jsonc"])("lists every rate limit with its value in %s", (file) => {
    const limits = [...read(file).matchAll(/"name": "(LIMIT_\w+)".*"limit": (\d+), "period": 60 /g)];
    expect(limits).toHaveLength(4);
    for (const [, name, limit] of limits)
      expect(read("docs/limits.md")).toContain(`| \`${name}\` | ${limit} a minute |`);
  });

  it("has a loadable policy file as the example in README.md", async () => {
    const [example = ""] = codeBlocks(read("README.md"), "ts");
    const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-readme-"));
    try {
      const file = path.join(folder, "gatehouse.config.ts");
      writeFileSync(
        file,
        example.replace(
          "./config/define-gatehouse.ts",
          pathToFileURL(path.join(ROOT, "src/config/define-gatehouse.ts")).href,
        ),
      );
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

describe("the commands in the documentation", () => {
  const { scripts }: { scripts: Record<string, string> } = JSON.parse(read("package.json"));
  const shown = PAGES.flatMap((page) =>
    [...read(page).matchAll(/\bnpm (?:run )?(?!run\b)([a-z:-]+)/g)].map(([command, name = ""]) => ({ command, name })),
  );

  it("all exist in package.json", () => {
    const named = shown.filter(({ command }) => command.startsWith("npm run"));
    expect(named.length).toBeGreaterThan(20);
    for (const { name } of named) expect(Object.keys(scripts)).toContain(name);
  });

  it("include every command of package.json except npm's pre scripts", () => {
    const explained = new Set(shown.map(({ name }) => name));
    const commands = Object.keys(scripts).filter(
      (name) => scripts[name.replace(/^pre/, "")] === undefined || !name.startsWith("pre"),
    );
    expect(commands.filter((name) => !explained.has(name))).toEqual([]);
  });
});

describe.each(PAGES)("%s", (page) => {
  it("links only to existing pages and headings", () => {
    for (const [, target = "", anchor] of prose(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)) {
      const file = target === "" ? page : path.join(path.dirname(page), target);
      expect(existsSync(path.join(ROOT, file)), `${page} → ${file}`).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(file), `${page} → ${file}`).toContain(anchor);
    }
  });

  it.skipIf(PLANS.includes(page))("names only existing files and folders", () => {
    const named = prose(page).matchAll(
      /`((?:src|cli|test|docs|scripts|sample|examples|plugin|migrations|bench)\/[\w./-]*)`/g,
    );
    for (const [, file = ""] of named)
      expect(MADE.includes(file) || existsSync(path.join(ROOT, file)), `${page}: ${file}`).toBe(true);
  });
});

describe("docs/README.md", () => {
  it("links to every page of the documentation", () => {
    // A folder's pages are linked from the folder's own index.
    for (const page of DOCS.filter((file) => path.basename(file) !== "README.md"))
      expect(read(path.join("docs", path.dirname(page), "README.md"))).toMatch(
        new RegExp(`\\(${path.basename(page)}[)#]`),
      );
  });
});
