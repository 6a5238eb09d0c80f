// Tests that the skill `ask-data` is correct: its calls work in order against the sample, and answers have the fields that it explains.
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import * as z from "zod";
import { ERROR_CODES } from "../../src/errors.ts";
import { createBrowser } from "../support/forms.ts";
import { connectAs } from "../support/node/clients.ts";
import type { TestClient } from "../support/node/clients.ts";
import { firstCells } from "../support/markdown.ts";
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

  it("shows calls that work when made one after the other", async () => {
    const calls = [...skill.matchAll(CALL)];
    expect(calls.length).toBeGreaterThanOrEqual(9);
    const results: string[] = [];
    for (const [line, tool = "", json = ""] of calls) {
      // The skill names its results r1, r2, …; here the account may already have stored others.
      const args = json.replaceAll(/\br(\d)\b/g, (name, place: string) => results[Number(place) - 1] ?? name);
      const parsed: Record<string, unknown> = JSON.parse(args);
      const answer = await analyst.call(tool, parsed);
      expect(answer.isError, `${line}\n${answer.text}`).toBe(false);
      const { result } = z.looseObject({ result: z.string().optional() }).parse(answer.structured);
      if (result !== undefined) results.push(result);
      // A search without results would not show how search works.
      if (tool === "search") expect(answer.structured).toHaveProperty("results.0");
    }
  });

  it("explains only fields that answers have", async () => {
    const ask = async (client: TestClient, sql: string, limit: number, source = "shop"): Promise<unknown> =>
      (await client.call("query", { source, sql, limit })).structured;
    const orders = await ask(analyst, "SELECT id FROM orders", 1);
    expect(orders).toHaveProperty("count.atLeast");
    const { result } = z.looseObject({ result: z.string() }).parse(orders);
    const answers = [
      await ask(analyst, `SELECT count(*) FROM ${result}`, 1, "workspace"),
      await ask(analyst, "SELECT email FROM customers ORDER BY email", 2),
      await ask(analyst, "SELECT 9007199254740993 AS n FROM orders", 2),
      await ask(support, "SELECT subject FROM tickets", 2),
      await fetchChangedResult(),
    ];
    const fields = firstCells(skill).flat();
    expect(fields.length).toBeGreaterThanOrEqual(9);
    for (const field of fields)
      expect(
        answers.some((answer) => hasField(answer, field)),
        field,
      ).toBe(true);
  });

  /** Fetches a result of tickets after a change of them, which leaves the ticket as it is for other tests. */
  async function fetchChangedResult(): Promise<unknown> {
    const call = async (name: string, args: Record<string, unknown>): Promise<Record<string, unknown>> => {
      const { structured } = await support.call(name, args);
      return z.looseObject({}).parse(structured);
    };
    const tickets = await call("query", { source: "shop", sql: "SELECT id, priority FROM tickets", limit: 1 });
    const [[id, priority]] = z.tuple([z.tuple([z.number(), z.string()])]).parse(tickets["rows"]);
    const proposal = { dataset: "shop.tickets", action: "update", where: { id }, values: { priority }, reason: "test" };
    const { url } = z.looseObject({ url: z.string() }).parse(await call("change", proposal));
    const browser = createBrowser(fetch);
    await browser.press(await browser.open(`${inject("origin")}/sign-in`), "account", "support@harbor.example");
    await browser.press(await browser.open(url), "decision", "approve");
    return call("fetch", { id: tickets["result"] });
  }

  it("names only existing error codes", () => {
    const named = [...skill.matchAll(/`([a-z]+_[a-z_]+)`/g)].map((match) => match[1]);
    expect(named.length).toBeGreaterThan(0);
    for (const code of named) expect(ERROR_CODES).toContain(code);
  });
});

function hasField(answer: unknown, field: string): boolean {
  const fieldValue = field
    .split(".")
    .reduce<unknown>(
      (value, key) => (typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined),
      answer,
    );
  return fieldValue !== undefined;
}
