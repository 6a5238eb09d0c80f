// Says why a database did not apply a change: which assertion of ours or which kind of constraint ended the transaction. Its message names
// tables, columns and constraints of the owner, so none of it leaves.
import { isOutage, readSqliteMessage } from "../sql/d1-messages.ts";
import type { Applied, ConstraintKind } from "../read/change-target.ts";
import { ASSERTIONS, JOURNAL_TABLE, nameAssertion } from "./change-journal.ts";
import type { Assertion } from "./change-journal.ts";

const CONSTRAINTS: readonly (readonly [RegExp, ConstraintKind])[] = [
  [/^UNIQUE constraint failed/, "unique"],
  [/^FOREIGN KEY constraint failed/, "foreign key"],
  [/^NOT NULL constraint failed/, "not null"],
  [/^CHECK constraint failed/, "check"],
  [/^(?:datatype mismatch|cannot store )/, "type"],
];

const ASSERTION_RESULTS: Readonly<Record<Assertion, Applied>> = {
  rows_unchanged: { kind: "conflict" },
  schema_unchanged: { kind: "conflict" },
  rows_allowed: { kind: "not allowed" },
  rows_in_sight: { kind: "leaves sight" },
  // A trigger kept a row from being changed, or changed it otherwise.
  rows_complete: { kind: "constraint", constraint: "other" },
};

/** Where the journal and the images are looked up. */
interface Settled {
  readonly findOutcome: () => Promise<string | undefined>;
  readonly countRows: () => Promise<number>;
}

/**
 * Classifies what a batch threw. The journal decides first: a batch whose answer was lost may have been applied, and a batch that comes
 * second fails by the key of the journal.
 */
export async function classifyFailure(cause: unknown, { findOutcome, countRows }: Settled): Promise<Applied> {
  let outcome: string | undefined;
  try {
    outcome = await findOutcome();
    if (outcome === "applied") return { kind: "applied", rows: await countRows() };
  } catch {
    // The journal cannot be read either, and the first failure says why.
    return { kind: "unknown", cause };
  }
  // The server has given it up: this batch came late.
  if (outcome !== undefined) return { kind: "conflict" };
  const message = readSqliteMessage(cause);
  const assertion = ASSERTIONS.find((name) => message === `CHECK constraint failed: ${nameAssertion(name)}`);
  if (assertion !== undefined) return ASSERTION_RESULTS[assertion];
  // Another undo of the same change came first.
  if (message === `UNIQUE constraint failed: ${JOURNAL_TABLE}.undoes`) return { kind: "conflict" };
  const constraint = CONSTRAINTS.find(([pattern]) => pattern.test(message));
  if (constraint !== undefined) return { kind: "constraint", constraint: constraint[1] };
  // A trigger's own RAISE is a constraint too; anything else may be a batch that is still on its way.
  return !isOutage(cause) && /SQLITE_(?:CONSTRAINT|ERROR)/.test(String(cause))
    ? { kind: "constraint", constraint: "other" }
    : { kind: "unknown", cause };
}
