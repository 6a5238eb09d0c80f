// docs/configuration.md names every key of the policy file with its default, and every variable and secret that code reads.
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { SIGN_IN_VARIABLES } from "../../src/auth/settings.ts";
import { gatehouseSchema, mask } from "../../src/config.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");

interface SchemaNode {
  readonly $ref?: string;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
  readonly default?: unknown;
}

/** Keys whose own keys are prose: docs/operating.md has the limits, row rules and masks. */
const CLOSED = ["limits", "roles.*.rules[].rows", "roles.*.rules[].masks"];

/** Each key's path, and what stands as its default: code of it, "required" or "none". */
function keysOf(root: SchemaNode): ReadonlyMap<string, string> {
  const keys = new Map<string, string>();
  const walk = (node: SchemaNode, at: string): void => {
    for (const variant of [...(node.anyOf ?? []), ...(node.oneOf ?? [])]) walk(variant, at);
    for (const [name, child] of Object.entries(node.properties ?? {})) {
      const key = at === "" ? name : `${at}.${name}`;
      const isRequired = node.required?.includes(name) === true && keys.get(key) !== "none";
      keys.set(key, child.default === undefined ? (isRequired ? "required" : "none") : code(child.default));
      if (!CLOSED.includes(key)) walk(child, key);
    }
    if (typeof node.additionalProperties === "object") walk(node.additionalProperties, `${at}.*`);
    if (node.items !== undefined) walk(node.items, `${at}[]`);
  };
  walk(root, "");
  return keys;
}

const code = (value: unknown): string => `\`${JSON.stringify(value)}\``;

/** First and last cell of the rows of the section's tables. */
function documented(section: string): readonly (readonly [string, string])[] {
  const text =
    read("docs/configuration.md")
      .split(/^## /m)
      .find((part) => part.startsWith(section)) ?? "";
  return [...text.matchAll(/^\| `([^`]+)` \|.*\| ([^|]+) \|$/gm)].map(([, name = "", last = ""]) => [name, last]);
}

describe("docs/configuration.md", () => {
  const schema: SchemaNode = JSON.parse(
    JSON.stringify(z.toJSONSchema(gatehouseSchema, { io: "input", unrepresentable: "any" })),
  );
  const keys = keysOf(schema);
  // An object that is only a step on the way to its keys.
  const steps = ["organisation"];

  it("names every key of the policy file, with its default, and no other", () => {
    expect(keys.size).toBeGreaterThan(45);
    const expected = [...keys].filter(([key]) => !steps.includes(key));
    expect(Object.fromEntries(documented("The policy file"))).toEqual(Object.fromEntries(expected));
  });

  it("names every variable and secret that the code reads, and no other", () => {
    const files = ["src", "scripts"].flatMap((folder) =>
      readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((file) =>
        path.join(folder, file),
      ),
    );
    const text = files
      .filter((file) => /\.(?:tsx?|mjs)$/.test(file))
      .map(read)
      .join("\n");
    const bindings = [...read("wrangler.jsonc").matchAll(/"binding": "(\w+)"/g)].map((match) => match[1]);
    const found = [...text.matchAll(/\bGATEHOUSE_[A-Z_]+\b|(?<=process\.env\["|Reflect\.get\(env, ")\w+/g)].map(
      ([name]) => name,
    );
    const named = [
      ...documented("Variables and secrets"),
      ...documented("Variables of `npm start"),
      ...documented("Variables of `npm run deploy"),
      ...documented("Variables of `npm run doctor"),
      ...documented("Variables of `npm run screenshots"),
    ].map(([name]) => name);
    // npm says in INIT_CWD where it was called.
    const wanted = new Set(found.filter((name) => ![...bindings, "INIT_CWD"].includes(name)));
    expect(named.toSorted()).toEqual([...wanted].toSorted());
  });

  it("leaves the variables of identity providers to docs/operating.md, which explains each", () => {
    const [section = ""] = read("docs/operating.md").match(/^## Identity providers$.*?(?=^## )/ms) ?? [];
    const explained = section.matchAll(/^\| (`[^|]+`) \|/gm);
    const names = [...explained].flatMap(([, cell = ""]) => [...cell.matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name));
    const wanted = SIGN_IN_VARIABLES.filter((name) => name !== "GATEHOUSE_SIGN_IN");
    expect(names.toSorted()).toEqual([...wanted].toSorted());
  });

  it("leaves every mask to docs/operating.md, which explains it", () => {
    for (const name of Object.keys(mask)) expect(read("docs/operating.md")).toContain(`\`mask.${name}`);
  });
});
