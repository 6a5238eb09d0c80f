// JSON documents as tables: rows in an object, JSON Lines, types of columns, and refusals that name the item or the line.
import { describe, expect, it } from "vitest";
import { governDocument } from "../../src/read/source.ts";
import { parseTabularDocument } from "../../src/documents/tabular-document.ts";

function read(key: string, text: string): unknown {
  const table = parseTabularDocument(governDocument({ key, title: key, text }), { storedRows: 5, maxValueBytes: 1e6 });
  if (table === undefined) return "not a table";
  return table.kind === "table" ? { titles: table.titles, types: table.types, rows: table.rows } : table.problem;
}
const real = (value: number) => ({ kind: "real", value });

describe("parseTabularDocument with an object that holds rows", () => {
  const table = { titles: ["a"], types: ["INTEGER"], rows: [[1], [2]] };

  it.each([
    ['{"items": [{"a":1},{"a":2}]}', table],
    ['\ufeff{"total": 2, "data": [{"a":1},{"a":2}], "included": [{"b":1}]}', table],
    ['{"results": [[1],[2]], "next": null}', { ...table, titles: ["column_1"] }],
    ['{"rows": [1,2]}', { ...table, titles: ["value"] }],
    ['{"features": [{"a":1},{"a":2}], "type": "x"}', table],
    ['{"items": []}', { titles: ["value"], types: [null], rows: [] }],
    ['{"name": "x", "tags": ["a","b"]}', "not a table"],
    ['{"things": [{"a":1},{"a":2}], "tags": ["x"], "none": []}', table],
    ['{"tags": ["x"], "pairs": [[1,2]], "mixed": [1,{"a":1}]}', "not a table"],
    ['{"theme": {"dark": true}, "version": 2}', "not a table"],
    [
      '{"a": [{"x":1}], "b": [{"x":2}]}',
      "it has 2 arrays of objects, and none under items, data, rows, results, records or value",
    ],
    ['{"a": [{"x":1}], "b": [{"x":2}], "items": [{"a":1},{"a":2}]}', table],
    ['{"items": {"a":1}}', "not a table"],
  ])("reads %s", (text, expected) => {
    expect(read("t.json", text)).toEqual(expected);
  });
});

describe("parseTabularDocument with JSON Lines", () => {
  it.each(["t.jsonl", "T.NDJSON"])("reads %s and skips empty lines", (key) => {
    expect(read(key, '\ufeff{"a":1,"b":"x"}\r\n\r\n{"b":"é","c":[1]}\n')).toEqual({
      titles: ["a", "b", "c"],
      types: ["INTEGER", "TEXT", "TEXT"],
      rows: [
        [1, "x", null],
        [null, "é", "[1]"],
      ],
    });
  });

  it("reads no further than the row limit", () => {
    const text = `${'{"a":1}\n'.repeat(6)}not JSON`;
    expect(read("t.jsonl", text)).toMatchObject({ rows: [[1], [1], [1], [1], [1]] });
  });

  it.each([
    ['{"a":1}\n\n{"a":\n', "line 3 is not valid JSON: column 6"],
    ['{"a":1} {"a":2}', "line 1 is not valid JSON: column 9"],
    ['{"a":1}\n[1]', "its items are a mix of objects, arrays and plain values: line 2 is an array, line 1 an object"],
    ['{"a":1}\n{"a":"\\ud800"}', "line 2 has half a surrogate pair, which is no character"],
    ["", "it has no rows"],
  ])("rejects %j and names the line", (text, problem) => {
    expect(read("t.jsonl", text)).toBe(problem);
  });
});

describe("parseTabularDocument with JSON numbers", () => {
  it.each([
    ["[1, 2.5, null]", "REAL", [real(1), 2.5, null]],
    ["[100.0, 7.0]", "REAL", [real(100), real(7)]],
    ["[1e3]", "REAL", [real(1000)]],
    ["[1, 2]", "INTEGER", [1, 2]],
    ["[1, 9007199254740993]", "INTEGER", [1, { kind: "integer", digits: "9007199254740993" }]],
    ["[1.5, 9007199254740993]", null, [1.5, { kind: "integer", digits: "9007199254740993" }]],
    ['[1.5, 2, "x"]', null, [1.5, 2, "x"]],
    ["[1e-400]", "TEXT", ["1e-400"]],
    ['["007", "1"]', "TEXT", ["007", "1"]],
  ])("reads %s as %s", (text, type, values) => {
    expect(read("t.json", text)).toEqual({ titles: ["value"], types: [type], rows: values.map((value) => [value]) });
  });
});

describe("parseTabularDocument with JSON that is not valid", () => {
  it.each([
    ["", "line 1, column 1"],
    ["[1, 2,]", "line 1, column 7"],
    ['[{"a": 1},\n {"a" 2}]', "line 2, column 7"],
    ['[{"a": 1}\n {"a": 2}]', "line 2, column 2"],
    ["[01]", "line 1, column 3"],
    ["['x']", "line 1, column 2"],
    ['["x\ny"]', "line 1, column 2"],
    ['["\\x"]', "line 1, column 2"],
    ["[NaN]", "line 1, column 2"],
    ["[1}", "line 1, column 3"],
    ["[1] x", "line 1, column 5"],
    ["{,}", "line 1, column 2"],
    ['{"a":1,}', "line 1, column 8"],
    ['{"a"}', "line 1, column 5"],
    ["[truex]", "line 1, column 6"],
  ])("rejects %j and names the place", (text, place) => {
    expect(read("t.json", text)).toBe(`it is not valid JSON: ${place}`);
  });

  it.each([
    ['["a", "\\ud800"]', "item 2 has half a surrogate pair, which is no character"],
    ['[{"a":"\\udc00\\ud800"}]', "item 1 has half a surrogate pair, which is no character"],
    ['[{"\\ud800":1}]', "a key has half a surrogate pair, which is no character"],
  ])("rejects the lone surrogate in %s and names the item", (text, problem) => {
    expect(read("t.json", text)).toBe(problem);
  });

  it("reads a surrogate pair, and keeps the escape of a lone surrogate in nested JSON", () => {
    expect(read("t.json", '["\\ud83c\\udf4e", {"a":"\\ud800"}]')).toContain("item 2 is an object");
    expect(read("t.json", '[["\\ud83c\\udf4e", {"a":"\\ud800"}]]')).toMatchObject({
      rows: [["🍎", '{"a":"\\ud800"}']],
    });
  });

  it("finds an error after a million tokens in under five seconds", () => {
    const startedAtMs = performance.now();
    expect(read("t.json", `[${'"x\\n",'.repeat(600_000)}}`)).toBe("it is not valid JSON: line 1, column 3600002");
    expect(read("t.json", `"${"\\\\".repeat(2_000_000)}`)).toBe("it is not valid JSON: line 1, column 1");
    expect(performance.now() - startedAtMs).toBeLessThan(5000);
  });
});
