// Tests that the operators' skills are correct: every example of `write-rule` is a policy that loads and does what the text beside it
// says, and every command of `review-policy` runs.
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { explain } from "../../cli/policy-report/explain.ts";
import { mask } from "../../src/config/define-gatehouse.ts";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { rankDisclosure } from "../../src/policy/masks.ts";
import type { Disclosure } from "../../src/policy/model.ts";
import { codeBlocks, firstCells } from "../support/markdown.ts";
import { ROOT } from "../support/node/worker.ts";

/** One mask of each kind. */
const MASKS: Readonly<Record<keyof typeof mask, Disclosure>> = {
  ...mask,
  token: mask.token("domain"),
  bucket: mask.bucket(10),
  round: mask.round(10),
  last: mask.last(4),
};

const skillText = (name: string): string => readFileSync(path.join(ROOT, "plugin/skills", name, "SKILL.md"), "utf8");

describe("the skill write-rule", () => {
  const text = skillText("write-rule");
  const [sources = "", ...examples] = codeBlocks(text, "ts");
  const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-skill-"));

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Loads the policy file that results when an operator pastes the block. */
  async function load(block: string): Promise<Gatehouse> {
    // A unique name, because a module is loaded only once.
    const file = path.join(folder, `${randomUUID()}.ts`);
    const config = JSON.stringify(pathToFileURL(path.join(ROOT, "src/config/define-gatehouse.ts")).href);
    const lines = [
      `import { defineGatehouse, mask, sql, subject } from ${config};`,
      `export const used = [mask, sql, subject];`,
      `export default defineGatehouse({ organisation: { name: "X", contact: "x" }, roles: {}, members: [],`,
      sources,
      block,
      "});",
    ];
    writeFileSync(file, lines.join("\n"));
    const loaded: { default: Gatehouse } = await import(/* @vite-ignore */ file);
    return loaded.default;
  }

  const exampleOf = (words: string): string => examples.find((block) => block.includes(words)) ?? "";
  const explanationFor = async (example: string, email: string): Promise<string> =>
    explain((await load(exampleOf(example))).policy, email, "shop.customers", undefined).join("\n");

  it.each(examples)("has a loadable policy as example %#", async (block) => {
    const { policy } = await load(block);
    expect(policy.roles.length).toBeGreaterThan(0);
  });

  it("has an example that limits rows, hides a column and masks two", async () => {
    expect(await explanationFor("sales: {", "ann@example.com")).toMatch(
      /region = 'north'[^]*email: email[^]*born: year[^]*notes: hidden/,
    );
  });

  it("has an example that denies columns", async () => {
    expect(await explanationFor("contractor: {", "di@example.com")).toMatch(
      /email: hidden[^]*born: clear[^]*notes: hidden/,
    );
  });

  it("has an example that gives nothing to a user without the attribute that the rule needs", async () => {
    expect(await explanationFor("desk: {", "bo@example.com")).toContain("allowed.");
    expect(await explanationFor("desk: {", "cy@example.com")).toContain("not allowed");
  });

  it("explains every mask once, from the one that shows least to the one that shows most", () => {
    const rows = firstCells(text).flatMap((cells) => cells.map((cell) => cell.replace(/^mask\.|\(.*$/g, "")));
    const ranked = Object.entries(MASKS).toSorted(([, one], [, other]) => rankDisclosure(one) - rankDisclosure(other));
    expect(rows).toEqual(ranked.map(([name]) => name));
  });
});

describe("the skill review-policy", () => {
  const commands = codeBlocks(skillText("review-policy"), "sh").flatMap((block) => block.trim().split("\n"));

  it.each(commands)("has a working command: %s", (command) => {
    const [npm, run, name, dashes, ...args] = command.split(" ");
    expect([npm, run, name, dashes]).toEqual(["npm", "run", "policy", "--"]);
    const output = execFileSync(process.execPath, ["cli/main.ts", "policy", ...args], {
      cwd: ROOT,
      encoding: "utf8",
    });
    expect(output.trim()).not.toBe("");
  });

  it("shows check, explain, diff and test", () => {
    expect(commands.map((command) => command.split(" ")[4])).toEqual(["check", "explain", "diff", "test"]);
  });
});
