// Checks that docs/configuration.md lists every key of the policy file with its default, and every variable and secret that code reads.
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { SIGN_IN_VARIABLES } from "../../src/sign-in/sign-in-settings.ts";
import { gatehouseSchema, mask } from "../../src/config/define-gatehouse.ts";

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

/** Keys whose subkeys are not listed: docs/limits.md explains limits, and docs/policy.md row rules and masks. */
const CLOSED = ["limits", "roles.*.rules[].rows", "roles.*.rules[].masks"];

/** Lists each key's path with its documented default: the value as code, "required" or "none". */
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

/** Returns the first and last cell of each row in the section's tables. */
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
  // Objects that only group other keys.
  const steps = ["organisation"];

  it("lists exactly the keys of the policy file, with their defaults", () => {
    expect(keys.size).toBeGreaterThan(45);
    const expected = [...keys].filter(([key]) => !steps.includes(key));
    expect(Object.fromEntries(documented("The policy file"))).toEqual(Object.fromEntries(expected));
  });

  it("lists exactly the variables and secrets that the code reads", () => {
    const files = ["src", "cli", "scripts"].flatMap((folder) =>
      readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((file) =>
        path.join(folder, file),
      ),
    );
    const text = files
      .filter((file) => /\.(?:tsx?|mjs)$/.test(file))
      .map(read)
      .join("\n");
    const bindings = [...read("wrangler.jsonc").matchAll(/"(?:binding|name)": "(\w+)"/g)].map((match) => match[1]);
    const readNames = [...text.matchAll(/\bGATEHOUSE_[A-Z_]+\b|(?<=process\.env\["|Reflect\.get\(env, ")\w+/g)].map(
      ([name]) => name,
    );
    const documentedNames = [
      ...documented("Variables and secrets"),
      ...documented("Variables of `npm start"),
      ...documented("Variables of `npm run deploy"),
      ...documented("Variables of `npm run doctor"),
      ...documented("Variables of `npm run screenshots"),
    ].map(([name]) => name);
    // npm sets INIT_CWD to the folder in which it was called, and every system has a PATH.
    const wanted = new Set(readNames.filter((name) => ![...bindings, "INIT_CWD", "PATH"].includes(name)));
    expect(documentedNames.toSorted()).toEqual([...wanted].toSorted());
  });

  it("leaves the identity providers' variables to docs/identity-providers.md, which explains each of them", () => {
    const explained = read("docs/identity-providers.md").matchAll(/^\| (`[^|]+`) \|/gm);
    const names = [...explained].flatMap(([, cell = ""]) => [...cell.matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name));
    const wanted = SIGN_IN_VARIABLES.filter((name) => name !== "GATEHOUSE_SIGN_IN");
    expect(names.toSorted()).toEqual([...wanted].toSorted());
  });

  it("leaves masks to docs/policy.md, which explains each of them", () => {
    for (const name of Object.keys(mask)) expect(read("docs/policy.md")).toContain(`\`mask.${name}`);
  });
});
