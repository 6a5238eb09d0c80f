// Tests how mistakes in a policy are reported: each kind with its file, line and column, as a CliError without a stack. One process
// loads all the files, because Node itself must parse and run them.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import * as z from "zod";

const ROOT = path.resolve(import.meta.dirname, "../..");
const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-mistakes-"));
afterAll(() => rmSync(folder, { recursive: true }));

const HEAD = 'import { defineGatehouse, mask, readSource, sql, subject } from "./config/define-gatehouse.ts";\n';
const SHOP = {
  kind: "d1",
  binding: "B",
  title: "t",
  description: "d",
  tables: { orders: { description: "o", columns: { id: { type: "integer", description: "i" } } } },
};
const ORGANISATION = 'organisation: { name: "N", contact: "C" }';
const VALID_ROLES = 'roles: { reader: { description: "r", rules: [{ action: "read", datasets: ["shop.orders"] }] } }';

/** A policy over the table `shop.orders` in a JSON file, with these lines in place of the roles and members. */
const policy = (...lines: readonly string[]): string =>
  [
    `${HEAD}import shop from "./shop.json" with { type: "json" };`,
    "export default defineGatehouse({",
    `  ${ORGANISATION},`,
    '  sources: { shop: readSource("src/shop.json", shop) },',
    ...lines.map((line) => `  ${line}`),
    "});",
    "",
  ].join("\n");

interface Mistake {
  readonly files: Readonly<Record<string, string>>;
  readonly expected: readonly string[];
}

const withPolicy = (text: string, ...expected: readonly string[]): Mistake => ({
  files: { "gatehouse.config.ts": text },
  expected,
});

const MISTAKES: Readonly<Record<string, Mistake>> = {
  "a syntax error of TypeScript": withPolicy(
    policy("roles: {} members: []"),
    "src/gatehouse.config.ts:6:13: is not valid TypeScript: ',' expected.",
  ),
  "TypeScript that Node does not run": withPolicy(
    `enum Region { North }\n${policy("roles: {},", "members: [],")}`,
    "src/gatehouse.config.ts:1:1: the code of the policy fails: SyntaxError: TypeScript enum is not supported",
  ),
  "a missing import": withPolicy(
    `import { rules } from "./rules";\n${policy("roles: {},", "members: [],")}`,
    "src/gatehouse.config.ts:1:23: there is no file ./rules.",
  ),
  "a missing JSON file": withPolicy(
    `import crm from "./crm.json" with { type: "json" };\n${policy("roles: {},", "members: [],")}`,
    "src/gatehouse.config.ts:1:17: there is no file ./crm.json.",
  ),
  "a JSON import without its type": withPolicy(
    `import other from "./shop.json";\n${policy("roles: {},", "members: [],")}`,
    'src/gatehouse.config.ts:1:19: a JSON file is imported with { type: "json" }',
  ),
  "a missing package": withPolicy(
    `import x from "@nowhere/at-all/x";\n${policy("roles: {},", "members: [x],")}`,
    "src/gatehouse.config.ts:1:15: there is no package @nowhere/at-all/x. Install it",
  ),
  "a missing export": withPolicy(
    `import { mas } from "./config/define-gatehouse.ts";\n${policy("roles: {},", "members: [],")}`,
    "src/gatehouse.config.ts:1:10: ./config/define-gatehouse.ts has no export mas. Did you mean mask?",
  ),
  "an unknown key": withPolicy(
    policy(VALID_ROLES.replace("description:", "desciption:"), ", members: [],"),
    "src/gatehouse.config.ts:6:22: roles.reader.desciption: there is no such key here. Did you mean description?",
    "src/gatehouse.config.ts:6:12: roles.reader.description: is missing. It takes text.",
  ),
  "a value of the wrong type": withPolicy(
    policy(`${VALID_ROLES},`, "members: [{ email: 5, name: 'A', roles: 'reader' }],"),
    "src/gatehouse.config.ts:7:15: members[0].email: takes text, but is a number.",
    "src/gatehouse.config.ts:7:36: members[0].roles: takes a list, but is text.",
  ),
  "a rule for an unknown table": withPolicy(
    policy(VALID_ROLES.replace("shop.orders", "shop.ordres"), ", members: [],"),
    "src/gatehouse.config.ts:6:77: roles.reader.rules[0].datasets[0]: there is no dataset shop.ordres. Did you mean shop.orders?",
  ),
  "unknown columns of a rule": withPolicy(
    policy(
      VALID_ROLES.replace('"]', '"], masks: { emial: mask.email }, hidden: ["idd"], rows: sql("x = 1")'),
      ", members: [],",
    ),
    "src/gatehouse.config.ts:6:102: roles.reader.rules[0].masks.emial: shop.orders has no column emial.",
    "src/gatehouse.config.ts:6:132: roles.reader.rules[0].hidden[0]: shop.orders has no column idd. Did you mean id?",
    "src/gatehouse.config.ts:6:140: roles.reader.rules[0].rows: The expression contains x, which is not a column",
  ),
  "a member twice": withPolicy(
    policy(
      `${VALID_ROLES},`,
      "members: [{ email: 'a@x.example', name: 'A', roles: [] },",
      "  { email: 'a@x.example', name: 'B', roles: [] }],",
    ),
    "src/gatehouse.config.ts:8:5: members[1]: has two entries for the same email (a@x.example). Keep one.",
  ),
  "a key twice": withPolicy(
    policy("roles: { a: { description: 'x', rules: [] },", "  a: { description: 'y', rules: [] } },", "members: [],"),
    "src/gatehouse.config.ts:7:5: the key a is here a second time. Keep one.",
  ),
  "an exception": {
    files: {
      "gatehouse.config.ts": `import { roles } from "./roles.ts";\n${policy("roles,", "members: [],")}`,
      "roles.ts": "const names: any = undefined;\nexport const roles = names.map(String);\n",
    },
    expected: ["src/roles.ts:2:28: the code of the policy fails: TypeError: Cannot read properties of undefined"],
  },
  "a file without a policy": withPolicy(
    "export const policy = {};\n",
    "src/gatehouse.config.ts:1:1: the file does not export a policy.",
  ),
  "entries behind constants, imports and spreads": {
    files: {
      "gatehouse.config.ts": `import * as parts from "./parts.ts";\n${policy(
        "roles: { ...parts.roles, own: { description: 'o', rules: parts.rules } },",
        "members: [...parts.members, { email: 'b@x.example', name: 'B', roles: ['raeder'] }],",
      )}`,
      "parts.ts": [
        "const rule = { action: 'read', datasets: ['shop.nothing'] };",
        "export const rules = [rule] as const;",
        "export const roles = { reader: { description: 'r', rules: [], savedOnly: 1 } } satisfies object;",
        "export const members = [{ email: 'a@x.example', name: 'A', roles: ['reader'] }];",
        "",
      ].join("\n"),
    },
    expected: ["src/parts.ts:3:63: roles.reader.savedOnly: takes true or false, but is a number."],
  },
  "an entry that code computes": withPolicy(
    policy(
      "roles: Object.fromEntries(['a'].map((name) => [name, { description: name, rules: [], x: 1 }])),",
      "members: [],",
    ),
    "src/gatehouse.config.ts:6:3: roles.a.x: there is no such key here.",
    "(Code computes this; the position is that of roles.)",
  ),
  "invalid JSON": {
    files: {
      "gatehouse.config.ts": policy("roles: {},", "members: [],"),
      "shop.json": '{\n  "kind": "d1"\n  "binding": "B"\n}\n',
    },
    expected: ["src/shop.json:3:3: has no comma, which it needs here, so it is not valid JSON."],
  },
  "a table whose keys are recorded but that has no key": {
    files: {
      "gatehouse.config.ts": policy(`${VALID_ROLES},`, "members: [],"),
      "shop.json": JSON.stringify(SHOP, null, 2).replace('"columns"', '"recordKeys": true,\n      "columns"'),
    },
    expected: [
      "src/shop.json:9:7: sources.shop.tables.orders.recordKeys: the table has no `key`, so there is none to record.",
    ],
  },
  "an unknown key in JSON, and a key twice": {
    files: {
      "gatehouse.config.ts": policy("roles: {},", "members: [],"),
      "shop.json": JSON.stringify(SHOP, null, 2).replace(
        '"type": "integer"',
        '"type": "integr",\n            "hiden": true',
      ),
    },
    expected: [
      'src/shop.json:11:11: tables.orders.columns.id.type: takes one of "integer"',
      'but is "integr". Did you mean "integer"?',
      "src/shop.json:12:13: tables.orders.columns.id.hiden: there is no such key here. Did you mean hidden?",
    ],
  },
};

const names = Object.keys(MISTAKES);
const projectOf = (name: string): string => path.join(folder, String(names.indexOf(name)));

for (const name of names) {
  const src = path.join(projectOf(name), "src");
  mkdirSync(src, { recursive: true });
  symlinkSync(path.join(ROOT, "src/config"), path.join(src, "config"));
  for (const [file, text] of Object.entries({ "shop.json": JSON.stringify(SHOP), ...MISTAKES[name]?.files }))
    writeFileSync(path.join(src, file), text);
}

/** Loads the policies in a process, and returns the message of each failure. */
function loadAll(projects: readonly string[]): readonly string[] {
  const script = `
    const { loadPolicyFile } = await import(${JSON.stringify(path.join(ROOT, "cli/project/load-policy.ts"))});
    const failures = [];
    for (const project of ${JSON.stringify(projects)}) {
      const failure = await loadPolicyFile(project + "/src/gatehouse.config.ts", project).catch((error) => error);
      failures.push(failure.name === "CliError" ? failure.message : "no CliError: " + (failure.stack ?? "loaded"));
    }
    console.log(JSON.stringify(failures));`;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  return z.array(z.string()).parse(JSON.parse(output));
}

describe("a policy with", () => {
  const messages = loadAll(names.map(projectOf));

  it.each(names)("%s is refused with the place of the mistake", (name) => {
    const message = messages[names.indexOf(name)] ?? "";
    for (const text of MISTAKES[name]?.expected ?? []) expect(message).toContain(text);
    expect(message).not.toMatch(/^no CliError|\n {4}at /);
  });
});
