// Names of tables, columns and groups with invisible characters: refused in a policy file, replaced in a result, dropped from an identity.
import { describe, expect, it } from "vitest";
import { toCsv } from "../../src/results/result-csv.ts";
import { keepVisibleGroups } from "../../src/sign-in/group-names.ts";
import { parseD1Source, policySchema } from "../../src/policy/policy-schema.ts";
import { makeUniqueColumnNames } from "../../src/sql/identifier.ts";

const HOSTILE: readonly (readonly [string, string, string])[] = [
  ["a right-to-left override", "a\u202eb", "U+202E"],
  ["a zero-width space", "a\u200bb", "U+200B"],
  ["an escape sequence", "a\u001b[2Kb", "U+001B"],
  ["a C1 control", "a\u009bb", "U+009B"],
  ["DEL", "a\u007fb", "U+007F"],
  ["a line separator", "a\u2028b", "U+2028"],
];

const createSource = (table: string, column: string): object => ({
  kind: "d1",
  binding: "X_DB",
  title: "X",
  description: "X",
  tables: { [table]: { description: "T", columns: { [column]: { type: "text", description: "C" } } } },
});

describe.each(HOSTILE)("a name with %s", (_name, hostile, escape) => {
  it("is refused as a table or column of a policy", () => {
    for (const data of [createSource(hostile, "c"), createSource("t", hostile)]) {
      const message = JSON.stringify(parseD1Source(data).error?.issues);
      expect(message).toContain("has an invisible character");
      expect(message).toContain(escape);
    }
  });

  it("is refused as a group of a policy", () => {
    const parsed = policySchema.safeParse({ sources: {}, roles: {}, groups: { [hostile]: ["r"] }, members: [] });
    expect(JSON.stringify(parsed.error?.issues)).toContain(escape);
  });

  it("is replaced as a column of a result", () => {
    expect(makeUniqueColumnNames(["id", hostile])).toEqual(["id", "column_2"]);
  });

  it("is escaped in the header of CSV, where values stay unchanged", () => {
    expect(toCsv([hostile], [[hostile]]).split("\n")[0]).toContain(escape);
    expect(toCsv([hostile], [[hostile]])).toContain(`\n${hostile}\n`);
  });

  it("is dropped from the groups of an identity, and the log counts it without the name", () => {
    const log: string[] = [];
    expect(keepVisibleGroups(["sales", hostile], (line) => log.push(line))).toEqual(["sales"]);
    expect(log).toEqual([expect.stringContaining("ignored 1 group(s)")]);
    expect(log.join()).not.toContain(hostile);
  });
});

it("accepts names of tables, columns and groups in other scripts", () => {
  expect(parseD1Source(createSource("عملاء", "Größe 100%")).success).toBe(true);
  expect(makeUniqueColumnNames(["ÅÄÖ", "数据"])).toEqual(["ÅÄÖ", "数据"]);
  expect(keepVisibleGroups(["Zürich/équipe"], () => undefined)).toEqual(["Zürich/équipe"]);
});
