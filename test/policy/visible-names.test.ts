// Names of tables, columns and groups: what a policy file, a result and an identity take.
import { describe, expect, it } from "vitest";
import { toCsv } from "../../src/access/csv.ts";
import { keepVisibleGroups } from "../../src/auth/group-names.ts";
import { parseD1Source, policySchema } from "../../src/policy/schema.ts";
import { columnNames } from "../../src/sql/identifier.ts";

const HOSTILE: readonly (readonly [string, string, string])[] = [
  ["a right-to-left override", "a\u202eb", "U+202E"],
  ["a zero-width space", "a\u200bb", "U+200B"],
  ["an escape sequence", "a\u001b[2Kb", "U+001B"],
  ["a C1 control", "a\u009bb", "U+009B"],
  ["DEL", "a\u007fb", "U+007F"],
  ["a line separator", "a\u2028b", "U+2028"],
];

const sourceOf = (table: string, column: string): object => ({
  kind: "d1",
  binding: "X_DB",
  title: "X",
  description: "X",
  tables: { [table]: { description: "T", columns: { [column]: { type: "text", description: "C" } } } },
});

describe.each(HOSTILE)("a name with %s", (_name, hostile, escape) => {
  it("is refused as a table and as a column of a policy", () => {
    for (const data of [sourceOf(hostile, "c"), sourceOf("t", hostile)]) {
      const message = JSON.stringify(parseD1Source(data).error?.issues);
      expect(message).toContain("has a character that cannot be seen");
      expect(message).toContain(escape);
    }
  });

  it("is refused as a group of a policy", () => {
    const parsed = policySchema.safeParse({ sources: {}, roles: {}, groups: { [hostile]: ["r"] }, members: [] });
    expect(JSON.stringify(parsed.error?.issues)).toContain(escape);
  });

  it("becomes another name as a column of a result", () => {
    expect(columnNames(["id", hostile])).toEqual(["id", "column_2"]);
  });

  it("is escaped at the head of CSV, where values stay as they are", () => {
    expect(toCsv([hostile], [[hostile]]).split("\n")[0]).toContain(escape);
    expect(toCsv([hostile], [[hostile]])).toContain(`\n${hostile}\n`);
  });

  it("is left out of the groups of an identity, and the log says so without it", () => {
    const log: string[] = [];
    expect(keepVisibleGroups(["sales", hostile], (line) => log.push(line))).toEqual(["sales"]);
    expect(log).toEqual([expect.stringContaining("left out 1 group(s)")]);
    expect(log.join()).not.toContain(hostile);
  });
});

it("takes names of tables, columns and groups in other scripts", () => {
  expect(parseD1Source(sourceOf("عملاء", "Größe 100%")).success).toBe(true);
  expect(columnNames(["ÅÄÖ", "数据"])).toEqual(["ÅÄÖ", "数据"]);
  expect(keepVisibleGroups(["Zürich/équipe"], () => undefined)).toEqual(["Zürich/équipe"]);
});
