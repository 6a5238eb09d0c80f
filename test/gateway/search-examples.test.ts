// Search finds a table by an example value of a column, for exactly the users who see that example in describe.
import { expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { allow, buildPolicy, key, NUMBER, TEXT } from "../support/policy-builder.ts";

const gateway = gatewayFor(
  buildPolicy({
    tables: {
      parcels: { id: key(NUMBER), carrier: { ...TEXT, examples: ["Nordfracht", "Straßenkurier"] }, region: TEXT },
    },
    roles: {
      reader: [allow("shop.parcels")],
      masked: [allow("shop.parcels", { masks: { carrier: mask.redact } })],
      hidden: [allow("shop.parcels", { hidden: ["carrier"] })],
      north: [allow("shop.parcels", { rows: { column: "region", op: "=", value: "north" } })],
    },
  }),
);

it.each([
  ["reader", true],
  ["masked", false],
  ["hidden", false],
  ["north", false],
])("search for %s finds the table by an example: %s, as describe shows it", async (role, isShown) => {
  const caller = callerAs(`${role}@harbor.example`);
  expect(JSON.stringify(await gateway.describe(caller, "shop.parcels")).includes("Nordfracht")).toBe(isShown);
  for (const question of ["nordfracht", "strassenkurier"]) {
    const answer = await gateway.search(caller, question, 10);
    expect(answer.results.map(({ id }) => id)).toEqual(isShown ? ["shop.parcels"] : []);
    if (!isShown) expect(JSON.stringify(answer)).not.toMatch(/Nordfracht|Straßenkurier/);
  }
});
