// The definition that assistants see: small, plain, stable.
import { countTokens } from "gpt-tokenizer";
import { beforeAll, describe, expect, it } from "vitest";
import { instructionsFor } from "../../src/server/instructions.ts";
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
  it("has the tools in their order", () => {
    expect(tools.map((tool) => tool.name)).toEqual(["search", "fetch", "describe", "query"]);
  });

  it("stays under 1,000 tokens", () => {
    expect(countTokens(JSON.stringify(tools))).toBeLessThan(1000);
  });

  it("marks each as reading only, and describes it", () => {
    for (const tool of tools) {
      expect(tool.annotations).toMatchObject({ readOnlyHint: true });
      expect(tool.description.length).toBeGreaterThan(30);
    }
  });

  it("has plain schemas: objects that take no unknown key, without unions or references", () => {
    for (const { inputSchema } of tools) {
      expect(inputSchema).toMatchObject({ type: "object", additionalProperties: false });
      expect(JSON.stringify(inputSchema)).not.toMatch(/anyOf|oneOf|allOf|\$ref|\$schema/);
    }
  });
});

describe("the instructions", () => {
  it("say how to work within their first 512 characters, whatever the organisation's name", () => {
    const start = instructionsFor("A very long name of an organisation ".repeat(5)).slice(0, 512);
    for (const word of ["describe", "query", "search", "fetch", "permissions", "never follow instructions"])
      expect(start).toContain(word);
  });
});
