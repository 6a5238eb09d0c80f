// What describe and answers say about masked values. The examples agree with the SQL of the masks.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { describeInexactness, describeMaskedForm } from "../../src/policy/masked-forms.ts";
import { buildDisclosureSql } from "../../src/policy/masks.ts";
import type { ColumnType, Disclosure } from "../../src/policy/model.ts";
import { TOKEN_SQL } from "../support/plain-view.ts";

const CLEAR = { kind: "clear" } as const;
const YEAR = { kind: "year" } as const;
const HIDDEN = { kind: "hidden" } as const;
const bucket = (size: number): Disclosure => ({ kind: "bucket", size });

async function applyMask(disclosure: Disclosure, valueSql: string): Promise<string> {
  const sql = `WITH t(c) AS (SELECT ${valueSql}) SELECT CAST(${buildDisclosureSql(disclosure, '"c"', TOKEN_SQL)} AS TEXT) AS v FROM t`;
  return String(await env.SHOP_DB.prepare(sql).first("v"));
}

describe("describeMaskedForm", () => {
  it.each<[Disclosure, ColumnType, string]>([
    [bucket(10), "integer", "40 for any value from 40 to below 50"],
    [
      bucket(9007199254740991),
      "real",
      "36028797018963964 for any value from 36028797018963964 to below 45035996273704955",
    ],
    [{ kind: "round", step: 100 }, "real", "400 for any value from 350 to below 450"],
    [{ kind: "round", step: 5 }, "integer", "20 for any value from 17.5 to below 22.5"],
    [YEAR, "date", "1962-01-01 for any day of 1962"],
    [YEAR, "datetime", "1962-01-01 00:00:00 for any time in 1962"],
    [{ kind: "month" }, "date", "1962-02-01 for any day of February 1962"],
    [{ kind: "month" }, "datetime", "1962-02-01 00:00:00 for any time in February 1962"],
    [{ kind: "last", count: 4 }, "text", "…1234, the end of the text"],
    [{ kind: "email" }, "text", "a…@x.example"],
    [{ kind: "redact" }, "text", "[redacted]"],
    [{ kind: "null" }, "text", "always null"],
    [{ kind: "token", domain: "d" }, "text", "tok_ and 16 letters or digits; equal values have equal masking tokens"],
  ])("describes %j on a column of type %s as %j", (disclosure, type, expected) => {
    expect(describeMaskedForm({ type, disclosures: [disclosure] })).toBe(expected);
  });

  it("names all forms of a column that differs by row", () => {
    expect(describeMaskedForm({ type: "date", disclosures: [CLEAR, YEAR] })).toBe(
      "in clear; or, by row, 1962-01-01 for any day of 1962",
    );
  });

  it.each([bucket(1), bucket(10), bucket(10_000), ...[1, 5, 100].map((step) => ({ kind: "round", step }) as const)])(
    "gives for %j an example with the edges that the mask has",
    async (disclosure) => {
      const text = describeMaskedForm({ type: "real", disclosures: [disclosure] });
      const [, shown = "", from = "", below = ""] =
        /^(\d+) for any value from ([\d.]+) to below ([\d.]+)$/.exec(text) ?? [];
      expect(Number(await applyMask(disclosure, from))).toBe(Number(shown));
      expect(Number(await applyMask(disclosure, `${below} - 0.001`))).toBe(Number(shown));
      expect(Number(await applyMask(disclosure, below))).toBeGreaterThan(Number(shown));
    },
  );

  it.each<[Disclosure, ColumnType, string]>([
    [YEAR, "date", "'1962-11-30'"],
    [YEAR, "datetime", "'1962-11-30 10:11:12'"],
    [{ kind: "month" }, "date", "'1962-02-28'"],
    [{ kind: "month" }, "datetime", "'1962-02-28 10:11:12'"],
    [{ kind: "last", count: 4 }, "text", "'99991234'"],
    [{ kind: "email" }, "text", "'ann@x.example'"],
    [{ kind: "redact" }, "text", "'ann'"],
  ])("gives for %j on a %s an example that the mask shows for %s", async (disclosure, type, value) => {
    expect(describeMaskedForm({ type, disclosures: [disclosure] }).startsWith(await applyMask(disclosure, value))).toBe(
      true,
    );
  });
});

describe("describeInexactness", () => {
  it.each<[readonly Disclosure[], string | undefined]>([
    [[CLEAR], undefined],
    [[YEAR], "x is known to the year only, shown as 1 January"],
    [[{ kind: "month" }], "x is known to the month only, shown as its first day"],
    [[bucket(10)], "x is known to a range of 10 only, shown as the lower bound"],
    [[{ kind: "round", step: 100 }], "x is rounded to the nearest multiple of 100"],
    [[{ kind: "last", count: 1 }], "x is cut to its last 1 character: different values can look equal"],
    [[{ kind: "email" }], "x is cut to its first letter and domain: different addresses can look equal"],
    [[{ kind: "null" }], "x is always null, whatever its value"],
    [[CLEAR, YEAR], "x differs by row: it is in clear; or known to the year only, shown as 1 January"],
    [[CLEAR, HIDDEN], "x differs by row: it is in clear; or always null, whatever its value"],
  ])("says of %j: %s", (disclosures, expected) => {
    expect(describeInexactness("x", disclosures)).toBe(expected);
  });
});
