// How well personal columns are found by name and by value: recall is held to a bar, precision is told.
import { describe, expect, it } from "vitest";
import { personalReason } from "../../scripts/introspection/personal.ts";
import { LABELLED, STYLES } from "./labelled.ts";

const cases = LABELLED.map((one, index) => {
  const style = STYLES[index % STYLES.length];
  if (style === undefined) throw new Error("there are styles");
  return { ...one, name: style(one.words.split(" ")) };
});

describe("personal columns", () => {
  it(`are found among ${cases.length} names: recall at least 0.97`, () => {
    const found = cases.map((one) => ({ ...one, reason: personalReason(one.table, one.name, one.values) }));
    const personal = found.filter(({ isPersonal }) => isPersonal);
    const marked = found.filter(({ reason }) => reason !== undefined);
    const missed = personal.filter(({ reason }) => reason === undefined).map(({ table, name }) => `${table}.${name}`);
    const wrong = marked.filter(({ isPersonal }) => !isPersonal).map(({ name, reason }) => `${name} (${reason})`);
    const recall = 1 - missed.length / personal.length;
    const precision = 1 - wrong.length / marked.length;
    console.log(
      `${cases.length} names, ${personal.length} personal; recall ${recall.toFixed(3)}, precision ${precision.toFixed(3)}`,
    );
    console.log(`missed: ${missed.join(", ") || "none"}; marked by mistake: ${wrong.join(", ") || "none"}`);
    expect(cases.length).toBeGreaterThanOrEqual(200);
    expect(recall, `missed: ${missed.join(", ")}`).toBeGreaterThanOrEqual(0.97);
    expect(precision, `by mistake: ${wrong.join(", ")}`).toBeGreaterThanOrEqual(0.9);
  });

  it("every name is found in every style, or in none: the style does not matter for what is in words", () => {
    const lost = LABELLED.filter(({ isPersonal, values }) => isPersonal && values.length === 0).flatMap(
      ({ table, words }) =>
        STYLES.slice(0, 5).flatMap((style) => {
          const name = style(words.split(" "));
          return personalReason(table, name, []) === undefined ? [name] : [];
        }),
    );
    console.log(`lost in some style: ${lost.join(", ") || "none"}`);
    expect(lost.length).toBeLessThanOrEqual(5);
  });
});
