// CSV and JSON arrays as tables: every value as it was written, numbers only where nothing is lost, and words for what is
// malformed.
import { describe, expect, it } from "vitest";
import { governDocument } from "../../src/sources/source.ts";
import { tabulate } from "../../src/sources/tabular.ts";

const BOUNDS = { maxRows: 100, maxValueBytes: 1000 };
const read = (key: string, text: string, bounds = BOUNDS): unknown => {
  const table = tabulate(governDocument({ key, title: key, text }), bounds);
  if (table === undefined) return "no table";
  return table.kind === "problem" ? table.problem : { columns: table.columns, rows: table.rows, more: table.more };
};
const rowsOf = (key: string, text: string): unknown => Reflect.get(Object(read(key, text)), "rows");
const integer = (digits: string) => ({ kind: "integer", digits });
const real = (value: number) => ({ kind: "real", value });

describe("CSV", () => {
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
    ["a;b\n1,5;x\n", ["a", "b"], [["1,5", "x"]]],
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
    ['a\nx"y\n', ["a"], [['x"y']]],
    ["only\n", ["only"], []],
    ["name\nÄpfel 🍎\n", ["name"], [["Äpfel 🍎"]]],
  ])("%j", (text, columns, rows) => {
    expect(read("t.csv", text)).toEqual({ columns, rows, more: false });
  });

  it.each([
    ["7\n-12\n0", [7, -12, 0]],
    ["007\n12", ["007", "12"]],
    ["1\nx", ["1", "x"]],
    ["1\n1.5", [1, 1.5]],
    ["19.90\n5.00\n-0.50", [19.9, real(5), -0.5]],
    ["1.9\n1.10", ["1.9", "1.10"]],
    ["1.10\n1.9", ["1.10", "1.9"]],
    ["0.1\n0.30000000000000004", [0.1, 0.30000000000000004]],
    ["0.1\n0.300000000000000040", ["0.1", "0.300000000000000040"]],
    ["9007199254740993\n1", [integer("9007199254740993"), 1]],
    ["9223372036854775807", [integer("9223372036854775807")]],
    ["-9223372036854775808", [integer("-9223372036854775808")]],
    ["9223372036854775808", ["9223372036854775808"]],
    ["1e5", ["1e5"]],
    ["+1", ["+1"]],
    [" 1", [" 1"]],
    ["-0", ["-0"]],
    ["1,000", ["1,000"]],
    ["0x10", ["0x10"]],
    ["Infinity", ["Infinity"]],
    ["NaN", ["NaN"]],
    ["１", ["１"]],
  ])("numbers where all of a column reads back as written: %j", (text, values) => {
    expect(
      rowsOf(
        "t.tsv",
        `n\tx\n${text
          .split("\n")
          .map((line) => `${line}\t`)
          .join("\n")}`,
      ),
    ).toEqual(values.map((value) => [value, null]));
  });

  it.each([
    ['a,b\n1,"x\n', "line 2: a quote is not closed"],
    ['a,b\n1,"x"y\n', "line 2: something stands behind a closing quote"],
    ['a\n"x\ny"\n1,2\n', "line 4 has 2 fields, and the first line names 1 columns"],
    ["", "there are no columns"],
    ["\n\n", "there are no columns"],
    [`${"a,".repeat(200)}a\n`, "there are 201 columns; a table holds 100"],
    [`a\n${"x".repeat(5_000_001)}`, "the document is longer than 5000000 characters"],
  ])("says why not of %j", (text, problem) => {
    expect(read("t.csv", text)).toBe(problem);
  });

  it("is cut at its rows, and before a value that is too large", () => {
    expect(read("t.csv", "a\n1\n2\n3\n", { ...BOUNDS, maxRows: 2 })).toMatchObject({ rows: [[1], [2]], more: true });
    expect(read("t.csv", "a\n1\n2\n", { ...BOUNDS, maxRows: 2 })).toMatchObject({ rows: [[1], [2]], more: false });
    const large = read("t.csv", `a\nx\n${"ä".repeat(501)}\ny\n`);
    expect(large).toMatchObject({ rows: [["x"]], more: true });
  });

  it("does not take long, whatever it is", () => {
    const began = performance.now();
    for (const text of ['"'.repeat(1_000_000), ",".repeat(99), `a\n${'"",'.repeat(300_000)}`, "\n".repeat(1_000_000)])
      read("t.csv", text);
    expect(performance.now() - began).toBeLessThan(5000);
  });
});

describe("JSON", () => {
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
  ])("%s", (text, columns, rows) => {
    const expected = columns.length === 0 ? "there are no columns" : { columns, rows, more: false };
    expect(read("t.json", text)).toEqual(expected);
  });

  it.each([
    ['{"a":[1]}', "no table"],
    ["7", "no table"],
    ["[1,", "it is no JSON"],
    ['[{"a":1},2]', "its items are of different kinds: objects, arrays or plain values"],
  ])("%s", (text, told) => {
    expect(read("t.json", text)).toBe(told);
  });

  it("that is nested without end does not end the call", () => {
    expect(read("t.json", `${"[".repeat(200_000)}${"]".repeat(200_000)}`)).toBe("it is nested too deeply");
  });

  it("is told by its key, not by its text", () => {
    expect(read("t.md", "a,b\n1,2\n")).toBe("no table");
    expect(read("T.JSON", "[1]")).toMatchObject({ rows: [[1]] });
  });
});
