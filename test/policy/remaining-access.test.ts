// What a user still has after a removal from the members table, and how to end it.
import { describe, expect, it } from "vitest";
import { describeRemainingAccess } from "../../src/policy/remaining-access.ts";
import { NUMBER, allow, buildPolicy } from "../support/policy-builder.ts";

const { policy } = buildPolicy({
  tables: { customers: { id: NUMBER } },
  roles: { reader: [allow(["shop.*"])], writer: [allow(["shop.*"])] },
  members: { reader: { roles: ["reader"], attributes: {} } },
});
const withGroup = { ...policy, groups: [{ group: "staff", roles: ["reader", "writer"] }] };
const DECLARED = "The policy file still gives reader@harbor.example the role reader. Remove that in the policy file.";

describe("describeRemainingAccess", () => {
  it.each<[string, Parameters<typeof describeRemainingAccess>[1], readonly string[]]>([
    ["a member of the policy file", { email: "reader@harbor.example", groups: [] }, [DECLARED]],
    ["another user", { email: "other@harbor.example", groups: ["guests"] }, []],
    [
      "a user in a group",
      { email: "other@harbor.example", groups: ["staff"] },
      [
        'The group "staff" still gives other@harbor.example the role reader, the role writer. ' +
          "Remove other@harbor.example from it at the identity provider.",
      ],
    ],
    [
      "one role of a user in a group",
      { email: "reader@harbor.example", groups: ["staff"], role: "writer" },
      [
        'The group "staff" still gives reader@harbor.example the role writer. ' +
          "Remove reader@harbor.example from it at the identity provider.",
      ],
    ],
  ])("names what %s still has", (_user, removed, expected) => {
    expect(describeRemainingAccess(withGroup, removed)).toEqual(expected);
  });
});
