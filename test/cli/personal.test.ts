// Measures how well personal columns are detected by name and by value, and requires a minimum of recall and precision.
import { describe, expect, it } from "vitest";
import { personalReason } from "../../cli/introspection/personal.ts";
import type { ColumnType } from "../../src/policy/model.ts";
import { LABELLED, STYLES } from "./labelled.ts";
import { SCHEMAS } from "./personal-schemas.ts";

const cases = LABELLED.map((labelled, index) => {
  const style = STYLES[index % STYLES.length];
  if (style === undefined) throw new Error("STYLES is empty");
  return { ...labelled, name: style(labelled.words.split(" ")) };
});

describe("personalReason", () => {
  it(`detects personal columns among ${cases.length} names with a recall of at least 0.97`, () => {
    const results = cases.map((column) => ({
      ...column,
      reason: personalReason({ table: column.table, column: column.name, values: column.values }),
    }));
    const personal = results.filter(({ isPersonal }) => isPersonal);
    const marked = results.filter(({ reason }) => reason !== undefined);
    const missed = personal.filter(({ reason }) => reason === undefined).map(({ table, name }) => `${table}.${name}`);
    const wrong = marked.filter(({ isPersonal }) => !isPersonal).map(({ name, reason }) => `${name} (${reason})`);
    const recall = 1 - missed.length / personal.length;
    const precision = 1 - wrong.length / marked.length;
    console.log(
      `${cases.length} names, ${personal.length} personal; recall ${recall.toFixed(3)}, precision ${precision.toFixed(3)}`,
    );
    console.log(`missed: ${missed.join(", ") || "none"}; false positives: ${wrong.join(", ") || "none"}`);
    expect(cases.length).toBeGreaterThanOrEqual(200);
    expect(recall, `missed: ${missed.join(", ")}`).toBeGreaterThanOrEqual(0.97);
    expect(precision, `false positives: ${wrong.join(", ")}`).toBeGreaterThanOrEqual(0.9);
  });

  it("detects a name in every style of writing, with at most five exceptions", () => {
    const lost = LABELLED.filter(({ isPersonal, values }) => isPersonal && values.length === 0).flatMap(
      ({ table, words }) =>
        STYLES.slice(0, 5).flatMap((style) => {
          const name = style(words.split(" "));
          return personalReason({ table, column: name, values: [] }) === undefined ? [name] : [];
        }),
    );
    console.log(`not detected in some style: ${lost.join(", ") || "none"}`);
    expect(lost.length).toBeLessThanOrEqual(5);
  });
});

interface SchemaColumn {
  readonly table: string;
  readonly column: string;
  readonly type: ColumnType;
  readonly isPersonal: boolean;
}

const TYPES: readonly ColumnType[] = ["integer", "real", "date", "datetime", "boolean", "json"];

function readSchemas(): readonly SchemaColumn[] {
  return Object.values(SCHEMAS)
    .flat()
    .flatMap((line) => {
      const [, table = "", columns = ""] = /^(.+?)\((.+)\)$/.exec(line) ?? [];
      return columns.split(", ").map((text) => {
        const [, column = "", type] = /^(.+?)(?::([a-z]+))?\*?$/.exec(text) ?? [];
        return {
          table,
          column,
          type: TYPES.find((each) => each === type) ?? "text",
          isPersonal: text.endsWith("*"),
        };
      });
    });
}

describe("personalReason over whole schemas", () => {
  const columns = readSchemas();

  it(`has a precision and recall of at least 0.95 over ${Object.keys(SCHEMAS).length} schemas, without any data`, () => {
    const marked = columns.filter((column) => personalReason({ ...column, values: [] }) !== undefined);
    const missed = columns.filter((column) => column.isPersonal && !marked.includes(column));
    const wrong = marked.filter(({ isPersonal }) => !isPersonal);
    const list = (some: readonly SchemaColumn[]): string =>
      some.map(({ table, column }) => `${table}.${column}`).join(", ");
    const right = marked.length - wrong.length;
    const [precision, recall] = [right / marked.length, right / (right + missed.length)];
    console.log(
      `${columns.length} columns, ${right + missed.length} personal; recall ${recall.toFixed(3)}, precision ${precision.toFixed(3)}`,
    );
    console.log(`missed: ${list(missed) || "none"}; false positives: ${list(wrong) || "none"}`);
    expect(Object.keys(SCHEMAS).length).toBeGreaterThanOrEqual(15);
    expect(precision, `false positives: ${list(wrong)}`).toBeGreaterThanOrEqual(0.95);
    expect(recall, `missed: ${list(missed)}`).toBeGreaterThanOrEqual(0.95);
  });
});
