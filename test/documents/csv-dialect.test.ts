// The dialects of CSV: the delimiter is found from the name and several lines, and line ends, quotes and byte order marks vary.
import { describe, expect, it } from "vitest";
import { governDocument } from "../../src/read/source.ts";
import { parseTabularDocument } from "../../src/documents/tabular-document.ts";

function read(key: string, text: string): unknown {
  const table = parseTabularDocument(governDocument({ key, title: key, text }), {
    storedRows: 100,
    maxValueBytes: 1e6,
  });
  return table?.kind === "table" ? [table.titles, ...table.rows] : table?.problem;
}

describe("detectDialect", () => {
  it.each([
    [
      "commas in a German header",
      "t.csv",
      "Artikel;Preis (EUR, netto, Stück)\nHammer;9,50\nZange;12,25\n",
      [
        ["Artikel", "Preis (EUR, netto, Stück)"],
        ["Hammer", 9.5],
        ["Zange", 12.25],
      ],
    ],
    [
      "one comma in the header and in each row",
      "t.csv",
      "Artikel;Preis (EUR, netto)\nHammer;9,50\n",
      [
        ["Artikel", "Preis (EUR, netto)"],
        ["Hammer", 9.5],
      ],
    ],
    [
      "commas in the header alone",
      "t.csv",
      "Artikel;Preis (EUR, netto, Stück)\n",
      [["Artikel", "Preis (EUR, netto, Stück)"]],
    ],
    [
      "commas in the header of a .tsv file",
      "t.tsv",
      "name, first, last\tcity, country\nAnn\tBerlin\n",
      [
        ["name, first, last", "city, country"],
        ["Ann", "Berlin"],
      ],
    ],
    [
      "tabs in a .csv file",
      "t.csv",
      "a\tb\n1,5\tx\n",
      [
        ["a", "b"],
        [1.5, "x"],
      ],
    ],
    [
      "commas in a .tsv file without tabs",
      "t.tsv",
      "a,b\n1,x\n",
      [
        ["a", "b"],
        [1, "x"],
      ],
    ],
    [
      "bars",
      "t.csv",
      "a|b, c\n1|x, y\n",
      [
        ["a", "b, c"],
        [1, "x, y"],
      ],
    ],
    [
      "semicolons within fields",
      "t.csv",
      "name,tags\nx,a;b;c\ny,d\n",
      [
        ["name", "tags"],
        ["x", "a;b;c"],
        ["y", "d"],
      ],
    ],
    [
      "quoted delimiters in the header",
      "t.csv",
      '"a;b;c",d\nx,1\n',
      [
        ["a;b;c", "d"],
        ["x", 1],
      ],
    ],
    [
      "a first line of Excel",
      "t.csv",
      "sep=|\na,b|c\n1|2\n",
      [
        ["a,b", "c"],
        [1, 2],
      ],
    ],
    [
      "one column whose title has a comma",
      "t.csv",
      "Preis (EUR, netto)\n12\n13\n",
      [["Preis (EUR, netto)"], [12], [13]],
    ],
    [
      "a byte order mark before a quote",
      "t.csv",
      '\ufeff"a";"b"\r\n1;2\r\n',
      [
        ["a", "b"],
        [1, 2],
      ],
    ],
    [
      "spaces after the commas",
      "t.csv",
      'item, price, note\nx, 9.5, "a, b"\ny, 100, c\n',
      [
        ["item", "price", "note"],
        ["x", 9.5, "a, b"],
        ["y", { kind: "real", value: 100 }, " c"],
      ],
    ],
  ])("reads a file with %s", (_name, key, text, expected) => {
    expect(read(key, text)).toEqual(expected);
  });
});

describe("parseCsv", () => {
  it.each([
    [
      "line breaks, delimiters and quotes in quotes",
      'a,b\n"x\r\ny,""z""\n",1\n',
      [
        ["a", "b"],
        ['x\r\ny,"z"\n', 1],
      ],
    ],
    [
      "line ends of different kinds",
      "a,b\r\n1,x\n2,y\r\n",
      [
        ["a", "b"],
        [1, "x"],
        [2, "y"],
      ],
    ],
    [
      "carriage returns alone",
      'a,b\r1,"x\ry"\r',
      [
        ["a", "b"],
        [1, "x\ry"],
      ],
    ],
    [
      "a quote within a plain field",
      'item,size,note\nPipe,5",x\nBolt,"a ""b"", c",7" or 8"\n',
      [
        ["item", "size", "note"],
        ["Pipe", '5"', "x"],
        ["Bolt", 'a "b", c', '7" or 8"'],
      ],
    ],
    [
      "an odd quote in the last field",
      'a,b\n1,5"\n"2",6"',
      [
        ["a", "b"],
        [1, '5"'],
        [2, '6"'],
      ],
    ],
    [
      "spaces around quotes",
      'a,b\n "x, y" ,1\n',
      [
        ["a", "b"],
        ["x, y", 1],
      ],
    ],
    [
      "short rows",
      "a,b,c\n1\n2,x\n",
      [
        ["a", "b", "c"],
        [1, null, null],
        [2, "x", null],
      ],
    ],
    [
      "empty lines",
      "\n\na,b\n\n1,2\n\r\n",
      [
        ["a", "b"],
        [1, 2],
      ],
    ],
    [
      "names with spaces around them",
      " a , b \n1,2\n",
      [
        ["a", "b"],
        [1, 2],
      ],
    ],
  ])("reads %s", (_name, text, expected) => {
    expect(read("t.csv", text)).toEqual(expected);
  });

  it.each([
    ["a quote that is not closed", 'a,b\n"1\n2",x\n3,"y\n\n', "line 4: a quoted field is not closed"],
    ["text after a quote", 'a,b\n1,2\n"x"y,2\n', "line 3: unexpected text after a closing quote"],
    ["a second quoted text in a field", 'a,b\n1,"x" "y"\n', "line 2: unexpected text after a closing quote"],
    ["a long row after a field of two lines", 'a,b\n"x\ny",1\n1,2,3\n', "line 4 has 3 field(s), but the header has 2"],
    ["a long row after Excel's first line", "sep=;\na;b\n1;2;3\n", "line 3 has 3 field(s), but the header has 2"],
    ["a lone carriage return", "a,b\n1,x\ry,2\n", "line 2: a carriage return without a line feed"],
  ])("rejects %s and names the line", (_name, text, problem) => {
    expect(read("t.csv", text)).toBe(problem);
  });

  it("reads hostile quotes in linear time", () => {
    const startedAtMs = performance.now();
    for (const part of ['"a"b', 'a"b,', 'a"', '"a" ', `"${" ".repeat(50)}`, 'a"""b\n', '""'])
      read("t.csv", `a,b\n${part.repeat(Math.floor(2_000_000 / part.length))}`);
    expect(performance.now() - startedAtMs).toBeLessThan(15_000);
  });
});
