// Parsing CSV and JSON documents as tables: values stay as written, become numbers only if they mean the same, and malformed
// documents are reported with their line.
import { describe, expect, it } from "vitest";
import { governDocument } from "../../src/read/source.ts";
import { parseTabularDocument } from "../../src/documents/tabular-document.ts";

const BOUNDS = { storedRows: 100, maxValueBytes: 1000 };
const parse = (key: string, text: string, bounds = BOUNDS): unknown => {
  const table = parseTabularDocument(governDocument({ key, title: key, text }), bounds);
  if (table === undefined) return "not a table";
  return table.kind === "problem"
    ? table.problem
    : { columns: table.columns, rows: table.rows, hasMore: table.hasMore };
};
const parseRows = (key: string, text: string): unknown => Reflect.get(Object(parse(key, text)), "rows");
const integer = (digits: string) => ({ kind: "integer", digits });
const real = (value: number) => ({ kind: "real", value });

describe("parseTabularDocument with CSV", () => {
  it.each([
    [
      "a,b\n1,x\n2,y\n",
      ["a", "b"],
      [
        [1, "x"],
        [2, "y"],
      ],
    ],
    [
      "\ufeffa,b\r\n1,x\r\n2,y",
      ["a", "b"],
      [
        [1, "x"],
        [2, "y"],
      ],
    ],
    ["a;b\n1,5;x\n", ["a", "b"], [[1.5, "x"]]],
    ["a\tb\n1\tx\n", ["a", "b"], [[1, "x"]]],
    ['a,b\n"x, ""y""\nz",\n', ["a", "b"], [['x, "y"\nz', null]]],
    [
      'a,b\n"",1\n,2\n',
      ["a", "b"],
      [
        ["", 1],
        [null, 2],
      ],
    ],
    ['"a;b",c\n1,2\n', ["a;b", "c"], [[1, 2]]],
    [
      "a,b,c\n1\n\n\n2,3\n",
      ["a", "b", "c"],
      [
        [1, null, null],
        [2, 3, null],
      ],
    ],
    ["a,A,,sqlite_x\n1,2,3,4\n", ["a", "A_2", "column_3", "column_4"], [[1, 2, 3, 4]]],
    ["a\rb\rc", ["a"], [["b"], ["c"]]],
    [
      "x,y\n3,4,\n5,6\n7,8, \n",
      ["x", "y"],
      [
        [3, 4],
        [5, 6],
        [7, 8],
      ],
    ],
    ["x;y, z\n3;4;\n", ["x", "y, z"], [[3, 4]]],
    ['a\nx"y\n', ["a"], [['x"y']]],
    ["only\n", ["only"], []],
    ["name\nÄpfel 🍎\n", ["name"], [["Äpfel 🍎"]]],
  ])("parses %j", (text, columns, rows) => {
    expect(parse("t.csv", text)).toEqual({ columns, rows, hasMore: false });
  });

  it.each([
    ["7\n-12\n0", [7, -12, 0]],
    ["007\n12", ["007", "12"]],
    ["1\nx", ["1", "x"]],
    ["1\n1.5", [real(1), 1.5]],
    ["19.90\n5.00\n-0.50", [19.9, real(5), -0.5]],
    ["1.9\n1.10", [1.9, 1.1]],
    ["1.10\n1.9", [1.1, 1.9]],
    ["0.1\n0.30000000000000004", [0.1, 0.30000000000000004]],
    ["0.1\n0.300000000000000040", ["0.1", "0.300000000000000040"]],
    ["9007199254740993\n1", ["9007199254740993", "1"]],
    ["9223372036854775807", ["9223372036854775807"]],
    ["-9223372036854775808", ["-9223372036854775808"]],
    ["9223372036854775808", ["9223372036854775808"]],
    ["999999999999999", [999999999999999]],
    ["1e5", ["1e5"]],
    ["+1", [1]],
    [" 1", [1]],
    ["-0", ["-0"]],
    ["1,000", ["1,000"]],
    ["0x10", ["0x10"]],
    ["Infinity", ["Infinity"]],
    ["NaN", ["NaN"]],
    ["１", ["１"]],
  ])("parses the column %j as numbers only if each value can be read as exactly one number", (text, values) => {
    expect(
      parseRows(
        "t.tsv",
        `n\tx\n${text
          .split("\n")
          .map((line) => `${line}\t`)
          .join("\n")}`,
      ),
    ).toEqual(values.map((value) => [value, null]));
  });

  it.each([
    ["an open quote", 'a,b\n1,"x\n', "line 2: a quoted field is not closed"],
    ["text after a closing quote", 'a,b\n1,"x"y\n', "line 2: unexpected text after a closing quote"],
    ["a row longer than the header", 'a\n"x\ny"\n1,2\n', "line 4 has 2 field(s), but the header has 1"],
    ["two fields too many", "a,b\n1,2,,\n", "line 2 has 4 field(s), but the header has 2"],
    ["a quoted field too many", 'a,b\n1,2,""\n', "line 2 has 3 field(s), but the header has 2"],
    ["an empty document", "", "it has no columns"],
    ["empty lines alone", "\n\n", "it has no columns"],
    ["too many columns", `${"a,".repeat(200)}a\n`, "it has 201 columns; a table can have at most 100"],
    ["too many characters", `a\n${"x".repeat(5_000_001)}`, "it is longer than 5000000 characters"],
  ])("rejects %s and says why", (_name, text, problem) => {
    expect(parse("t.csv", text)).toBe(problem);
  });

  it("stops at the row limit and before a value over the size limit", () => {
    expect(parse("t.csv", "a\n1\n2\n3\n", { ...BOUNDS, storedRows: 2 })).toMatchObject({
      rows: [[1], [2]],
      hasMore: true,
    });
    expect(parse("t.csv", "a\n1\n2\n", { ...BOUNDS, storedRows: 2 })).toMatchObject({
      rows: [[1], [2]],
      hasMore: false,
    });
    const large = parse("t.csv", `a\nx\n${"ä".repeat(501)}\ny\n`);
    expect(large).toMatchObject({ rows: [["x"]], hasMore: true });
  });

  it("parses hostile documents of a million characters in under five seconds", () => {
    const startedAtMs = performance.now();
    for (const text of ['"'.repeat(1_000_000), ",".repeat(99), `a\n${'"",'.repeat(300_000)}`, "\n".repeat(1_000_000)])
      parse("t.csv", text);
    expect(performance.now() - startedAtMs).toBeLessThan(5000);
  });
});

describe("parseTabularDocument with too many columns", () => {
  it.each([
    ["t.csv", `${"a,".repeat(9_998)}a\n${`${",".repeat(9_998)}\n`.repeat(450)}`, 9999],
    [
      "t.json",
      JSON.stringify(
        Array.from({ length: 1500 }, (_item, row) =>
          Object.fromEntries(Array.from({ length: 10 }, (_value, index) => [`${row}_${index}`, 1])),
        ),
      ),
      15_000,
    ],
    ["t.json", `[[${"1,".repeat(100_000)}1]]`, 100_001],
  ])("rejects %s without building its rows", (key, text, columns) => {
    const startedAtMs = performance.now();
    expect(parse(key, text, { ...BOUNDS, storedRows: 2000 })).toBe(
      `it has ${columns} columns; a table can have at most 100`,
    );
    expect(performance.now() - startedAtMs).toBeLessThan(1500);
  });
});

describe("parseTabularDocument with JSON", () => {
  it.each([
    [
      '[{"a":1,"b":"x"},{"b":null,"c":true}]',
      ["a", "b", "c"],
      [
        [1, "x", null],
        [null, null, 1],
      ],
    ],
    ['[{"a":{"b":[1,2]},"c":[]}]', ["a", "c"], [['{"b":[1,2]}', "[]"]]],
    [
      "[[1,2],[3]]",
      ["column_1", "column_2"],
      [
        [1, 2],
        [3, null],
      ],
    ],
    ['["x",2,null,false]', ["value"], [["x"], [2], [null], [0]]],
    ["[9007199254740993, 1e400, -0, 1.50]", ["value"], [[integer("9007199254740993")], ["1e400"], [0], [1.5]]],
    ["[0.1234567890123456789]", ["value"], [["0.1234567890123456789"]]],
    ['[{"a":{"n":9007199254740993}}]', ["a"], [['{"n":9007199254740993}']]],
    ['[{"__proto__":1,"constructor":2}]', ["__proto__", "constructor"], [[1, 2]]],
    ["[{}]", [], []],
    ["[]", ["value"], []],
  ])("parses %s", (text, columns, rows) => {
    const expected = columns.length === 0 ? "it has no columns" : { columns, rows, hasMore: false };
    expect(parse("t.json", text)).toEqual(expected);
  });

  it.each([
    ['{"a":[1]}', "not a table"],
    ["7", "not a table"],
    ["[1,", "it is not valid JSON: line 1, column 4"],
    [
      '[{"a":1},2]',
      "its items are a mix of objects, arrays and plain values: item 2 is a plain value, item 1 an object",
    ],
  ])("rejects %s: %s", (text, problem) => {
    expect(parse("t.json", text)).toBe(problem);
  });

  it("rejects an array that is nested too deeply", () => {
    expect(parse("t.json", `${"[".repeat(200_000)}${"]".repeat(200_000)}`)).toBe("it is nested too deeply");
  });

  it("recognises a table by the file extension in the key, not by its text", () => {
    expect(parse("t.md", "a,b\n1,2\n")).toBe("not a table");
    expect(parse("T.JSON", "[1]")).toMatchObject({ rows: [[1]] });
  });
});
