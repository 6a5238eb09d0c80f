// The skills for operators are true: every example of `write-rule` is a policy that loads and does what is said beside it, and
// every command of `review-policy` runs.
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { explain } from "../../scripts/policy/explain.ts";
import { mask } from "../../src/config.ts";
import type { Gatehouse } from "../../src/config.ts";
import { disclosureRank } from "../../src/policy/masks.ts";
import type { Disclosure } from "../../src/policy/model.ts";
import { codeBlocks, firstCells } from "../support/node/markdown.ts";
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

  /** The policy file that an operator has who pasted the block. */
  async function load(block: string): Promise<Gatehouse> {
    // A name of its own: a module is loaded once.
    const file = path.join(folder, `${randomUUID()}.ts`);
    const config = JSON.stringify(pathToFileURL(path.join(ROOT, "src/config.ts")).href);
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
  const told = async (example: string, email: string): Promise<string> =>
    explain((await load(exampleOf(example))).policy, email, "shop.customers", undefined).join("\n");

  it.each(examples)("example %# is a policy", async (block) => {
    const { policy } = await load(block);
    expect(policy.roles.length).toBeGreaterThan(0);
  });

  it("shows some rows, some columns and some masked", async () => {
    expect(await told("sales: {", "ann@example.com")).toMatch(
      /region = 'north'[^]*email: email[^]*born: year[^]*notes: hidden/,
    );
  });

  it("denies columns whatever else the role may see", async () => {
    expect(await told("contractor: {", "di@example.com")).toMatch(/email: hidden[^]*born: clear[^]*notes: hidden/);
  });

  it("gives nothing to a person without the attribute that a rule compares with", async () => {
    expect(await told("desk: {", "bo@example.com")).toContain("allowed.");
    expect(await told("desk: {", "cy@example.com")).toContain("not allowed");
  });

  it("explains every mask, and no other, from the one that shows least to the one that shows most", () => {
    const rows = firstCells(text).flatMap((cells) => cells.map((cell) => cell.replace(/^mask\.|\(.*$/g, "")));
    const ranked = Object.entries(MASKS).toSorted(([, one], [, other]) => disclosureRank(one) - disclosureRank(other));
    expect(rows).toEqual(ranked.map(([name]) => name));
  });
});

describe("the skill review-policy", () => {
  const commands = codeBlocks(skillText("review-policy"), "sh").flatMap((block) => block.trim().split("\n"));

  it.each(commands)("%s", (command) => {
    const [npm, run, name, dashes, ...args] = command.split(" ");
    expect([npm, run, name, dashes]).toEqual(["npm", "run", "policy", "--"]);
    const output = execFileSync(process.execPath, ["scripts/policy.ts", ...args], { cwd: ROOT, encoding: "utf8" });
    expect(output.trim()).not.toBe("");
  });

  it("shows check, explain and diff", () => {
    expect(commands.map((command) => command.split(" ")[4])).toEqual(["check", "explain", "diff"]);
  });
});
