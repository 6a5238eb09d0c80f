// Measures how well personal columns are detected by name and by value, and requires a minimum of recall and precision.
import { describe, expect, it } from "vitest";
import { personalReason } from "../../cli/introspection/personal.ts";
import { LABELLED, STYLES } from "./labelled.ts";

const cases = LABELLED.map((labelled, index) => {
  const style = STYLES[index % STYLES.length];
  if (style === undefined) throw new Error("STYLES is empty");
  return { ...labelled, name: style(labelled.words.split(" ")) };
});

describe("personalReason", () => {
  it(`detects personal columns among ${cases.length} names with a recall of at least 0.97`, () => {
    const results = cases.map((column) => ({
      ...column,
      reason: personalReason(column.table, column.name, column.values),
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
          return personalReason(table, name, []) === undefined ? [name] : [];
        }),
    );
    console.log(`not detected in some style: ${lost.join(", ") || "none"}`);
    expect(lost.length).toBeLessThanOrEqual(5);
  });
});
