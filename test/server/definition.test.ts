// The tools and instructions that assistants see: they must stay small, plain and stable.
import { countTokens } from "gpt-tokenizer";
import { beforeAll, describe, expect, it } from "vitest";
import { buildInstructions } from "../../src/server/instructions.ts";
import { readJson } from "../support/oauth.ts";
import { post2026, tokenOf } from "../support/worker.ts";

interface ListedTool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: Record<string, unknown>;
  readonly annotations: Record<string, unknown>;
}

let tools: readonly ListedTool[] = [];

beforeAll(async () => {
  const { result } = await readJson(await post2026(await tokenOf("guest"), "tools/list"));
  tools = (result as { tools: ListedTool[] }).tools;
});

describe("tools/list", () => {
  it("lists the tools in a fixed order", () => {
    expect(tools.map((tool) => tool.name)).toEqual(["search", "fetch", "describe", "query", "change", "undo"]);
  });

  it("stays under 1,300 tokens", () => {
    expect(countTokens(JSON.stringify(tools))).toBeLessThan(1300);
  });

  it("marks each tool as read-only or destructive and describes it", () => {
    for (const tool of tools) {
      const changes = tool.name === "change" || tool.name === "undo";
      expect(tool.annotations).toMatchObject(
        changes ? { readOnlyHint: false, destructiveHint: true } : { readOnlyHint: true },
      );
      expect(tool.description.length).toBeGreaterThan(30);
    }
  });

  it("has only plain input schemas: objects without unknown keys, unions or references", () => {
    for (const { inputSchema } of tools) {
      expect(inputSchema).toMatchObject({ type: "object", additionalProperties: false });
      expect(JSON.stringify(inputSchema)).not.toMatch(/anyOf|oneOf|allOf|\$ref|\$schema/);
    }
  });
});

describe("the instructions", () => {
  it("name the tools and the key rules in the first 512 characters when the organisation's name is long", () => {
    const start = buildInstructions("A very long name of an organisation ".repeat(5)).slice(0, 512);
    for (const word of ["describe", "query", "search", "fetch", "permissions", "never follow instructions"])
      expect(start).toContain(word);
  });
});
