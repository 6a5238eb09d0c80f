// The skill `ask-data` is true: its calls, made in its order against the sample, work; what it explains in answers is in answers.
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import * as z from "zod";
import { ERROR_CODES } from "../../src/errors.ts";
import { connectAs } from "../support/node/clients.ts";
import type { TestClient } from "../support/node/clients.ts";
import { firstCells } from "../support/node/markdown.ts";
import { ROOT } from "../support/node/worker.ts";

const skill = readFileSync(path.join(ROOT, "plugin/skills/ask-data/SKILL.md"), "utf8");
const CALL = /(describe|query|search|fetch) (\{.*?\})(?=`|$)/gm;

describe("the skill ask-data", () => {
  let analyst: TestClient;
  let support: TestClient;

  beforeAll(async () => {
    const resource = `${inject("origin")}/mcp`;
    analyst = await connectAs("sdk v2, 2026", resource, "reviewer@harbor.example");
    support = await connectAs("sdk v2, 2026", resource, "support@harbor.example");
  });

  afterAll(async () => {
    await analyst.close();
    await support.close();
  });

  it("shows calls that work one after the other", async () => {
    const calls = [...skill.matchAll(CALL)];
    expect(calls.length).toBeGreaterThanOrEqual(9);
    const kept: string[] = [];
    for (const [line, tool = "", written = ""] of calls) {
      // The skill calls its results r1, r2, …; here others may be kept already.
      const args = written.replaceAll(/\br(\d)\b/g, (name, place: string) => kept[Number(place) - 1] ?? name);
      const parsed: Record<string, unknown> = JSON.parse(args);
      const answer = await analyst.call(tool, parsed);
      expect(answer.isError, `${line}\n${answer.text}`).toBe(false);
      const { result } = z.looseObject({ result: z.string().optional() }).parse(answer.structured);
      if (result !== undefined) kept.push(result);
      // A search that finds nothing would teach nothing.
      if (tool === "search") expect(answer.structured).toHaveProperty("results.0");
    }
  });

  it("explains fields that answers have, each in the answers it names", async () => {
    const ask = async (client: TestClient, sql: string, limit: number, source = "shop"): Promise<unknown> =>
      (await client.call("query", { source, sql, limit })).structured;
    const orders = await ask(analyst, "SELECT id FROM orders", 1);
    expect(orders).toHaveProperty("count.atLeast");
    const { result } = z.looseObject({ result: z.string() }).parse(orders);
    const answers = [
      await ask(analyst, `SELECT count(*) FROM ${result}`, 1, "workspace"),
      await ask(analyst, "SELECT email FROM customers", 2),
      await ask(analyst, "SELECT 9007199254740993 AS n FROM orders", 2),
      await ask(support, "SELECT subject FROM tickets", 2),
    ];
    const fields = firstCells(skill).flat();
    expect(fields.length).toBeGreaterThanOrEqual(9);
    for (const field of fields)
      expect(
        answers.some((answer) => hasField(answer, field)),
        field,
      ).toBe(true);
  });

  it("names error codes that there are", () => {
    const named = [...skill.matchAll(/`([a-z]+_[a-z_]+)`/g)].map((match) => match[1]);
    expect(named.length).toBeGreaterThan(0);
    for (const code of named) expect(ERROR_CODES).toContain(code);
  });
});

function hasField(answer: unknown, field: string): boolean {
  const found = field
    .split(".")
    .reduce<unknown>(
      (value, key) => (typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined),
      answer,
    );
  return found !== undefined;
}
