// Defines the schema of the policy part of `gatehouse.config.ts`, field by field. Checks that span fields are in check-policy.ts.
import * as z from "zod";
import { parseEmailAddress } from "../lib/email-address.ts";
import { describeInvisible, firstInvisible } from "../lib/visible-text.ts";
import { findReservedPrefix } from "../sql/identifier.ts";
import { CHANGE_OPERATIONS, MAX_CHANGED_ROWS } from "./change-model.ts";
import { COLUMN_TYPES, COMPARISONS } from "./model.ts";
import type { BoundCondition, ColumnComparison, Disclosure, Grant } from "./model.ts";
import { describeIssue } from "./policy-problem.ts";
import { describeInvalidAddress } from "./member-input.ts";

/** Refuses invisible characters, with which two names could look alike in terminals, logs and reviews. */
function requireVisible(name: string, context: z.RefinementCtx): void {
  const codePoint = firstInvisible(name);
  if (codePoint !== undefined) context.addIssue({ code: "custom", message: describeInvisible(codePoint) });
}

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const subjectValue = z.strictObject({ subject: z.string().min(1) });
const description = z.string().min(1);
const sourceName = z
  .string()
  .regex(/^[a-z][a-z0-9_]*$/, "must be lower-case letters, digits and _, beginning with a letter");
const objectName = z
  .string()
  .min(1)
  .superRefine(requireVisible)
  .refine(
    (name) => findReservedPrefix(name) === undefined,
    "begins with a prefix that the database or Gatehouse reserves",
  );

const mask = z.discriminatedUnion(
  "kind",
  [
    z.strictObject({ kind: z.literal("null") }),
    z.strictObject({ kind: z.literal("redact") }),
    z.strictObject({
      kind: z.literal("token"),
      domain: z
        .string()
        .regex(/^[a-z][a-z0-9_-]*$/, "must be lower-case letters, digits, - and _, beginning with a letter"),
    }),
    z.strictObject({ kind: z.literal("bucket"), size: z.int().min(1) }),
    z.strictObject({ kind: z.literal("round"), step: z.int().min(1) }),
    z.strictObject({ kind: z.literal("year") }),
    z.strictObject({ kind: z.literal("month") }),
    z.strictObject({ kind: z.literal("last"), count: z.int().min(1).max(12) }),
    z.strictObject({ kind: z.literal("email") }),
  ],
  [
    "is not a mask. Use mask.null, mask.redact, mask.token(name), mask.year, mask.month, mask.email,",
    "mask.last(n) with n from 1 to 12, or mask.round(n) and mask.bucket(n) with a whole number",
  ].join(" "),
);

/** A row rule as the policy file writes it. */
export type ConditionInput =
  | ColumnComparison
  | { readonly sql: string }
  | { readonly all: readonly ConditionInput[] }
  | { readonly any: readonly ConditionInput[] };

const condition: z.ZodType<ConditionInput, ConditionInput> = z.lazy(() =>
  z.union(
    [
      z.strictObject({ sql: z.string() }),
      z.strictObject({ column: z.string(), op: z.enum(COMPARISONS), value: z.union([scalar, subjectValue]) }),
      z.strictObject({ column: z.string(), op: z.literal("in"), value: z.union([z.array(scalar), subjectValue]) }),
      z.strictObject({ column: z.string(), op: z.enum(["is null", "is not null"]) }),
      z.strictObject({ all: z.array(condition).min(1) }),
      z.strictObject({ any: z.array(condition).min(1) }),
    ],
    [
      `is not a row rule. Write { column, op, value } with op one of ${COMPARISONS.join(" ")}, or "in" with a list;`,
      '{ column, op } with "is null" or "is not null"; sql("…"); { all: […] } or { any: […] }',
    ].join(" "),
  ),
);

const boundCondition: z.ZodType<BoundCondition, BoundCondition> = z.lazy(() =>
  z.union([
    z.strictObject({ column: z.string(), op: z.enum(COMPARISONS), value: scalar }),
    z.strictObject({ column: z.string(), op: z.literal("in"), value: z.array(scalar) }),
    z.strictObject({ column: z.string(), op: z.enum(["is null", "is not null"]) }),
    z.strictObject({
      parts: z.array(
        z.discriminatedUnion("kind", [
          z.strictObject({ kind: z.literal("text"), text: z.string() }),
          z.strictObject({ kind: z.literal("column"), column: z.string() }),
          z.strictObject({ kind: z.literal("value"), value: z.union([scalar, z.array(scalar)]) }),
        ]),
      ),
    }),
    z.strictObject({ all: z.array(boundCondition) }),
    z.strictObject({ any: z.array(boundCondition) }),
  ]),
);

/** The schema of a grant that was stored with a result. */
export const grantSchema: z.ZodType<Grant, Grant> = z.strictObject({
  rule: z.string(),
  rows: boundCondition.nullable(),
  columns: z.record(
    z.string(),
    z.union([z.strictObject({ kind: z.enum(["hidden", "clear"]) }), mask]) satisfies z.ZodType<Disclosure, Disclosure>,
  ),
  reveal: z.array(z.string()),
});

/** Text that people outside the organisation write, such as tickets. Answers fence it. */
const untrusted = z.boolean().default(false);

/** No rule shows a hidden table or column. Introspection declares everything hidden. */
const hidden = z.boolean().default(false);

/** Text for assistants; absent where nothing is known for sure. */
const optionalDescription = description.optional();

/**
 * What introspection guessed. The Worker ignores it: assistants get only what the operator has moved out of it into the declaration.
 */
const tableGuess = z.strictObject({ description: z.string() });
const columnGuess = z.strictObject({
  description: z.string(),
  /** `table.column`. */
  references: z.string().optional(),
  /** What the column looks like, such as `an email address`. */
  personal: z.string().optional(),
});

const column = z.strictObject({
  type: z.enum(COLUMN_TYPES),
  description: optionalDescription,
  guess: columnGuess.optional(),
  untrusted,
  hidden,
  /** `table.column` of the same source. */
  references: z.string().optional(),
  /** Typical values, shown only to subjects who see every row and the column in clear. */
  examples: z.array(z.string().max(60)).max(12).default([]),
  /** Whether it is about a person, where its name and values say otherwise: `policy check` warns of personal columns in clear. */
  personal: z.boolean().optional(),
});

const table = z.strictObject({
  description: optionalDescription,
  guess: tableGuess.optional(),
  /** Whether it is a view of the database. */
  view: z.boolean().default(false),
  /** The column that identifies a row, for fetch by id, or the columns that do so together. */
  key: z
    .union([z.string(), z.array(z.string()).min(1)], "must be the name of a column, or a list of such names")
    .optional(),
  /** Whether audit records hold the keys of the rows that were returned. */
  recordKeys: z.boolean().default(false),
  hidden,
  /** The triggers that changes may run: the SHA-256 of each one's SQL, by name. A table with any other trigger is not changed. */
  triggers: z.record(z.string().min(1), z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hex digits")).optional(),
  columns: z.record(objectName, column),
});

const d1Source = z.strictObject({
  kind: z.literal("d1"),
  binding: z.string().min(1),
  title: description,
  description: optionalDescription,
  /** Whether users' SQL may be recursive (WITH RECURSIVE). Only the database's own limit bounds how long such a query runs. */
  recursion: z.boolean().default(false),
  tables: z.record(objectName, table),
});

/** A D1 source as the policy file writes it. */
export type D1SourceInput = z.input<typeof d1Source>;

/** The output of `d1Source`. */
export type ParsedD1Source = z.output<typeof d1Source>;

/** Parses a D1 source from data, such as a file that introspection wrote. */
export function parseD1Source(data: unknown): z.ZodSafeParseResult<ParsedD1Source> {
  return d1Source.safeParse(data, { error: describeIssue });
}

const kvSource = z.strictObject({
  kind: z.literal("kv"),
  binding: z.string().min(1),
  title: description,
  description,
  untrusted,
});

/** `source.table`, `source.*` for all tables of a source, or the name of a KV source. */
const datasets = z.array(z.string().min(1)).min(1);

const allowRule = z.strictObject({
  effect: z.literal("allow").optional(),
  action: z.literal("read"),
  datasets,
  rows: condition.optional(),
  masks: z.record(z.string(), mask).optional(),
  hidden: z.array(z.string()).optional(),
  /** Columns that this rule masks with mask.token and whose masking tokens may be exchanged for the value. */
  reveal: z.array(z.string()).optional(),
});

/** A rule that allows reading, as the policy file writes it. */
export type AllowRuleInput = z.input<typeof allowRule>;

const denyRule = z.strictObject({
  effect: z.literal("deny"),
  action: z.literal("read"),
  datasets,
  /** Denies only these columns. Without it, the rule denies the whole dataset. */
  columns: z.array(z.string()).min(1).optional(),
});

/** Which values a column may be changed to. The declared type of the column applies too. */
const valueSchema = z.strictObject({
  oneOf: z.array(scalar).min(1).optional(),
  /** The least and greatest number, or the first and last date. */
  min: z.union([z.number(), z.string()]).optional(),
  max: z.union([z.number(), z.string()]).optional(),
  /** The most characters of a text. */
  maxLength: z.int().min(1).max(100_000).default(2000),
  nullable: z.boolean().default(false),
});

const roleNames = z.array(z.string().min(1)).min(1);

const changeRule = z.strictObject({
  effect: z.literal("allow").optional(),
  action: z.literal("change"),
  datasets,
  operations: z.array(z.enum(CHANGE_OPERATIONS)).min(1),
  rows: condition.optional(),
  /** The columns that may be set. */
  columns: z.record(z.string(), valueSchema).default({}),
  /** The most rows of one change. */
  maxRows: z.int().min(1).max(MAX_CHANGED_ROWS).default(1),
  /** Who approves: no person, the user who asked for it, or a reviewer with one of these roles. */
  approval: z.union(
    [z.enum(["none", "requester"]), z.strictObject({ reviewers: roleNames })],
    'must be "none", "requester" or { reviewers: ["role", …] }',
  ),
  /** Where the user who asked approves: on a page of this server, or also in a form that one of these clients shows. */
  confirm: z
    .union(
      [
        z.literal("page"),
        z.strictObject({
          formIn: z.array(z.string().min(1).max(2048)).min(1, "names no client. Name at least one, or remove confirm"),
        }),
      ],
      'must be "page" or { formIn: ["client id", …] }',
    )
    .default("page"),
  /** Whether a change may move a row out of the requester's sight. */
  mayLeaveSight: z.boolean().default(false),
});

/** A rule that allows changes, as the policy file writes it. */
export type ChangeRuleInput = z.input<typeof changeRule>;

const denyChangeRule = z.strictObject({
  effect: z.literal("deny"),
  action: z.literal("change"),
  datasets,
  /** Denies only setting these columns. Without it, the rule denies every change. */
  columns: z.array(z.string()).min(1).optional(),
});

const savedQuery = z.strictObject({
  description,
  source: z.string(),
  /** One SELECT, with `:name` for each parameter. */
  sql: z.string().min(1),
  params: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be letters, digits and _, beginning with a letter"),
      z.strictObject({ type: z.enum(COLUMN_TYPES), description }),
    )
    .default({}),
});

const UNKNOWN_EFFECT = 'has an unknown effect. Leave it out to allow, or write effect: "deny"';

const roleSchema = z.strictObject({
  description,
  /** The names of the saved queries that the role may run. */
  queries: z.array(z.string()).default([]),
  /** Whether the role's rules apply only in these queries: no other SQL, no rows, no documents. */
  savedOnly: z.boolean().default(false),
  /** Whether users with the role may add and remove members. */
  administers: z.boolean().default(false),
  /** Whether users with the role may read the audit log, and whether also what other users have asked. */
  audits: z.union([z.boolean(), z.literal("with arguments")], 'must be true, false or "with arguments"').default(false),
  rules: z.array(
    z.discriminatedUnion(
      "action",
      [
        z.discriminatedUnion("effect", [allowRule, denyRule], UNKNOWN_EFFECT),
        z.discriminatedUnion("effect", [changeRule, denyChangeRule], UNKNOWN_EFFECT),
      ],
      'has an unknown action. Write action: "read" or action: "change"',
    ),
  ),
});

const queryName = z.string().regex(/^[a-z][a-z0-9-]*$/, "must be lower-case letters, digits and -");

/** Normalized, so that two spellings of one address count as a duplicate. */
const email = z.string().transform((text, context) => {
  const address = parseEmailAddress(text);
  if (address !== undefined) return address;
  context.addIssue({ code: "custom", message: describeInvalidAddress(text) });
  return z.NEVER;
});

/** The schema of the policy part of the policy file. */
export const policySchema = z.strictObject({
  queries: z.record(queryName, savedQuery).default({}),
  sources: z.record(
    sourceName,
    z.discriminatedUnion("kind", [d1Source, kvSource], 'has an unknown kind. Write kind: "d1" or kind: "kv"'),
  ),
  roles: z.record(z.string().regex(/^[a-z][a-z0-9-]*$/, "must be lower-case letters, digits and -"), roleSchema),
  /** Roles by group. The keys are the identity provider's group names. */
  groups: z.record(z.string().min(1).superRefine(requireVisible), z.array(z.string()).min(1)).default({}),
  /** Attributes that the members table may hold, in addition to those of `members`. */
  attributes: z.array(z.string().min(1)).default([]),
  members: z.array(
    z.strictObject({
      email,
      name: z.string().min(1),
      roles: z.array(z.string()),
      attributes: z.record(z.string(), z.union([scalar, z.array(scalar)])).optional(),
    }),
  ),
});

/** The output of `policySchema`. */
export type ParsedPolicy = z.output<typeof policySchema>;
/** One entry under a role's `rules` that is about reading. */
export type ParsedRule = z.output<typeof allowRule> | z.output<typeof denyRule>;
/** One entry under a role's `rules` that is about changes. */
export type ParsedChangeRule = z.output<typeof changeRule> | z.output<typeof denyChangeRule>;
