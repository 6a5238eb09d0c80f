// The types of CSV columns: a column is numeric if each value can be read as exactly one number, and missing values are NULL.
import { describe, expect, it } from "vitest";
import { governDocument } from "../../src/read/source.ts";
import { parseTabularDocument } from "../../src/documents/tabular-document.ts";
import { toJsonCell } from "../../src/sql/result-encoding.ts";

const LIMITS = { storedRows: 100, maxValueBytes: 1000 };

/** Reads the first column of a file whose fields are separated by `delimiter`, with its type. */
function readColumn(values: readonly string[], delimiter = ","): readonly unknown[] {
  const text = `n${delimiter}other\n${values.map((value) => `${value}${delimiter}x\n`).join("")}`;
  const table = parseTabularDocument(governDocument({ key: "t.csv", title: "t.csv", text }), LIMITS);
  if (table?.kind !== "table") throw new Error(table?.problem ?? "no table");
  return [table.types[0], ...table.rows.map((row) => toJsonCell(row[0] ?? null))];
}

describe("convertColumn", () => {
  it.each([
    ["prices of different widths", ["9.5", "10.25", "100", "1234.50", "0.75"], ["REAL", 9.5, 10.25, 100, 1234.5, 0.75]],
    ["whole numbers with decimals", ["100.0", "7.0"], ["REAL", 100, 7]],
    ["whole numbers", ["10", "0", "-3"], ["INTEGER", 10, 0, -3]],
    ["a space after the comma", [" 1", " 25 "], ["INTEGER", 1, 25]],
    ["signs", ["+1", "-2.5"], ["REAL", 1, -2.5]],
    ["a typographic minus", ["−5", "5"], ["INTEGER", -5, 5]],
    ["no digit before the point", [".5", "-.25"], ["REAL", 0.5, -0.25]],
    ["exponents with a point or a sign", ["1.5e3", "2E-7", "1.00E+05"], ["REAL", 1500, 2e-7, 100000]],
    [
      "doubles as Python prints them",
      ["0.30000000000000004", "12.345678901234567"],
      ["REAL", 0.30000000000000004, 12.345678901234567],
    ],
    ["six digits with a sign beside one without", ["+123456", "-5"], ["INTEGER", 123456, -5]],
    ["fifteen digits", ["123456789012345"], ["INTEGER", 123456789012345]],
    ["quoted numbers", ['"5"', '"2.50"'], ["REAL", 5, 2.5]],
    ["thousands that a decimal point proves", ['"1,234.50"', '"2,000"', "7"], ["REAL", 1234.5, 2000, 7]],
    [
      "thousands that two groups prove",
      ['"1,234,567"', '"2,500"', '"123,456,789"', "7"],
      ["INTEGER", 1234567, 2500, 123456789, 7],
    ],
    ["decimal commas in quotes", ['"12,50"', '"100,00"', "7"], ["REAL", 12.5, 100, 7]],
    ["decimal commas and groups in quotes", ['"1.234,50"', '"0,5"', '"2 000,25"'], ["REAL", 1234.5, 0.5, 2000.25]],
    ["three decimals after a point", ["1.234", "2.345"], ["REAL", 1.234, 2.345]],
    [
      "spaces between thousands",
      ['"1 234,50"', '"12\u00a0000"', '"1\u202f000\u202f000,5"'],
      ["REAL", 1234.5, 12000, 1000000.5],
    ],
    ["two spaces between thousands", ["1 234 567", "10 000"], ["INTEGER", 1234567, 10000]],
    ["apostrophes between thousands", ["1'234.50", "12’000", "7"], ["REAL", 1234.5, 12000, 7]],
    ["apostrophes alone", ["1'234", "12'345"], ["INTEGER", 1234, 12345]],
    [
      "a time in seconds as Python prints it",
      ["1700000000.1234567", "1700000001.5"],
      ["REAL", 1700000000.1234567, 1700000001.5],
    ],
    ["sixteen digits that a double holds", ["123456789012345.5"], ["REAL", 123456789012345.5]],
    ["a negative zero with decimals", ["-0.0", "1.5"], ["REAL", 0, 1.5]],
  ])("reads a column with %s as numbers", (_name, values, expected) => {
    expect(readColumn(values)).toEqual(expected);
  });

  it.each([
    ["leading zeros", ["007", "12"]],
    ["a leading zero before decimals", ["00.5", "1.5"]],
    ["one value with leading zeros beside decimals", ["1.5", "01"]],
    ["sixteen digits", ["1234567890123456", "1"]],
    ["sixteen digits and decimals", ["1234567890123456.5", "1.5"]],
    ["more decimals than a number holds", ["0.1234567890123456789"]],
    ["phone numbers", ["+491234567", "+4366412345678"]],
    ["article numbers with an E", ["1e5", "12E4"]],
    ["a number beyond all doubles", ["1E+400", "1.5"]],
    ["a number that would become zero", ["1E-400", "1.5"]],
    ["a point without decimals", ["5.", "6."]],
    ["several points", ["12.345.678", "1.2.3"]],
    ["IPv4 addresses", ["192.168.100.200", "10.100.100.100"]],
    ["dates", ["2024-01-02", "1.2.2024"]],
    ["percent", ["12%", "5%"]],
    ["currencies", ["€5", "$7.50"]],
    ["hexadecimal digits", ["0x10", "1F"]],
    ["words for special numbers", ["Infinity", "NaN"]],
    ["digits of other scripts", ["١٢", "１２"]],
    ["truth values", ["true", "false"]],
    ["one word", ["1", "2", "three"]],
    ["thousands that may be decimals", ['"1,234"', '"2,500"']],
    ["lists of numbers", ['"100,200,300"', '"400,500,600"']],
    ["groups of three that may be a list", ['"123,456,789"', '"100,200"']],
    ["one group after a space", ["1 234", "56"]],
    ["phone numbers in groups", ["555 123 456", "600 700 800"]],
    ["spaces at other places", ["12 34", "1 2345"]],
    ["groups with two marks", ['"1,234 567.50"', "1.5"]],
    ["seventeen digits that a double changes", ["0.12345678901234567", "1.5"]],
  ])("keeps a column with %s as text", (_name, values) => {
    expect(readColumn(values)).toEqual(["TEXT", ...values.map((value) => value.replaceAll('"', ""))]);
  });

  it.each([
    ["decimal commas", ["9,5", "10,25", "100", "0,75"], ["REAL", 9.5, 10.25, 100, 0.75]],
    ["points between thousands", ["1.234,50", "12.345.678,00", "999"], ["REAL", 1234.5, 12345678, 999]],
    ["decimal points", ["9.5", "10.25"], ["REAL", 9.5, 10.25]],
    ["three decimals after a comma beside others", ["1,250", "0,5"], ["REAL", 1.25, 0.5]],
    ["what may be thousands or decimals", ["1.234", "2.500"], ["TEXT", "1.234", "2.500"]],
    ["thousands that another value proves", ["1.234", "0,5"], ["REAL", 1234, 0.5]],
    ["thousands that two groups prove", ["1.234.567", "1.234"], ["INTEGER", 1234567, 1234]],
    [
      "IPv4 addresses of three digits",
      ["192.168.100.200", "110.120.130.140"],
      ["TEXT", "192.168.100.200", "110.120.130.140"],
    ],
    ["IPv4 addresses of two and three digits", ["10.100.100.100"], ["TEXT", "10.100.100.100"]],
    ["a space between thousands", ["1 234,50", "7"], ["REAL", 1234.5, 7]],
    ["both marks in both meanings", ["1.5", "1,5"], ["TEXT", "1.5", "1,5"]],
    ["leading zeros and a decimal comma", ["01,5", "2,5"], ["TEXT", "01,5", "2,5"]],
  ])("reads %s between semicolons, and as numbers only where their meaning is clear", (_name, values, expected) => {
    expect(readColumn(values, ";")).toEqual(expected);
  });

  it.each(["\t", "|", ";"])(
    "takes proof of what a point means from no other column, when the delimiter is %j",
    (delimiter) => {
      expect(readColumn(["1,5", "20"], delimiter)).toEqual(["REAL", 1.5, 20]);
      expect(readColumn(["1.234", "2.500"], delimiter)).toEqual(["TEXT", "1.234", "2.500"]);
      expect(readColumn(["1.234", "2.50"], delimiter)).toEqual(["REAL", 1.234, 2.5]);
      for (const values of [
        ["12.05", "13.05"],
        ["v1", "2.10"],
        ["1,5", "2,5"],
      ]) {
        const text = ["Datum", ...values].map((value, row) =>
          [value, ["Einwohner", "1.234", "2.345"][row]].join(delimiter),
        );
        const table = parseTabularDocument(governDocument({ key: "t.csv", title: "t", text: text.join("\n") }), LIMITS);
        expect(table).toMatchObject({
          rows: [
            [expect.anything(), "1.234"],
            [expect.anything(), "2.345"],
          ],
        });
      }
    },
  );

  it.each([
    ["empty", "-", "N/A", "NULL", "null", "n/a", "NA", "#N/A", "NaN", " - ", '""'].map((marker) =>
      marker === "empty" ? "" : marker,
    ),
  ])("reads missing values beside numbers as NULL", (...markers) => {
    expect(readColumn(["1.5", ...markers, "2"])).toEqual(["REAL", 1.5, ...markers.map(() => null), 2]);
  });

  it("reads missing values in text as NULL, but not what may be a value", () => {
    expect(readColumn(["Ann", "", "-", "N/A", "NULL", "n/a"])).toEqual(["TEXT", "Ann", null, null, null, null, null]);
    expect(readColumn(["NA", "DE", "Null", "None", '""', '"-"', '"NULL"'])).toEqual([
      "TEXT",
      "NA",
      "DE",
      "Null",
      "None",
      "",
      "-",
      "NULL",
    ]);
    expect(readColumn(["+", "-"])).toEqual(["TEXT", "+", "-"]);
  });

  it("gives a column without any value no type", () => {
    expect(readColumn(["", "-"])).toEqual([null, null, null]);
  });
});
