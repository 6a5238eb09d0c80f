// The policy of the tests that plan changes: roles of a help desk with different rights to one table, and members with several of them.
import { mask } from "../../src/config/define-gatehouse.ts";
import type { ChangeRequest } from "../../src/policy/change-plan.ts";
import { DATE, NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";
import { allowChange, denyChange, requireAllowedChange, tryPlan } from "../support/change-rules.ts";

export const TICKETS = "shop.tickets";
const REGION = { column: "region", op: "=", value: "north" } as const;
const SECRET = { column: "secret", op: "=", value: "yes" } as const;

export const { policy } = buildPolicy({
  tables: {
    tickets: {
      id: key(NUMBER),
      status: TEXT,
      priority: NUMBER,
      region: TEXT,
      due: DATE,
      email: TEXT,
      phone: TEXT,
      card: NUMBER,
      secret: TEXT,
      constructor: TEXT,
    },
  },
  roles: {
    desk: [
      allow(TICKETS, {
        masks: { email: mask.token("email"), phone: mask.last(2), card: mask.token("card") },
        reveal: ["email"],
        hidden: ["secret"],
      }),
      allowChange(TICKETS, {
        columns: {
          status: { oneOf: ["open", "done"] },
          priority: { min: 1, max: 5, nullable: true },
          email: {},
          phone: {},
          secret: {},
          constructor: {},
        },
        maxRows: 20,
      }),
    ],
    lead: [
      allow(TICKETS, { hidden: ["secret"] }),
      allowChange(TICKETS, {
        operations: ["update", "delete"],
        columns: { status: {}, due: {} },
        approval: { reviewers: ["desk"] },
      }),
    ],
    quick: [
      allow(TICKETS, { hidden: ["secret"] }),
      allowChange(TICKETS, { columns: { status: { oneOf: ["open"] } }, approval: "none" }),
    ],
    clerk: [
      allow(TICKETS, { hidden: ["secret"] }),
      allowChange(TICKETS, { operations: ["insert"], columns: { id: {}, status: {} } }),
      allowChange(TICKETS, { columns: { status: {} } }),
    ],
    "no-priority": [denyChange(TICKETS, ["priority"])],
    northern: [
      allow(TICKETS, { rows: REGION, hidden: ["secret"] }),
      allowChange(TICKETS, { columns: { region: {}, status: {} } }),
    ],
    secretive: [allow(TICKETS, { rows: SECRET, hidden: ["secret"] })],
    mover: [
      allow(TICKETS, { rows: REGION, hidden: ["secret"] }),
      allowChange(TICKETS, { columns: { region: {} }, mayLeaveSight: true, approval: "none" }),
    ],
    everything: [allow(TICKETS, { hidden: ["secret"] })],
    faceless: [
      allow(TICKETS, {
        masks: { status: mask.redact },
        hidden: ["id", "priority", "region", "due", "email", "phone", "card", "secret", "constructor"],
      }),
      allowChange(TICKETS, { columns: { status: {} } }),
    ],
  },
  members: {
    desk: ["desk"],
    lead: ["lead"],
    clerk: ["clerk"],
    several: ["lead", "quick"],
    denied: ["desk", "no-priority"],
    northern: ["northern"],
    "northern-secretive": ["northern", "secretive"],
    "northern-everything": ["northern", "secretive", "everything"],
    "northern-mover": ["northern", "secretive", "mover"],
    faceless: ["faceless"],
  },
});

/** Plans a change of a member, or gives its refusal as code and message. */
export const plan = (account: string, request: Partial<ChangeRequest>) =>
  tryPlan(requireAllowedChange(policy, account, TICKETS), request);
