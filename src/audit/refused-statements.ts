// Refuses statements that stopped the server while they ran, for their user and until the operator clears them. The supervisor of
// `npm start` passes them to the Worker in a variable at each start. A deployment has no supervisor and refuses none.
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import * as z from "zod";
import { AppError } from "../errors.ts";
import { normalizeStatement } from "../sql/statement-shape.ts";

const refusedStatement = z.object({ subject: z.string(), statement: z.string() });
/** The digest of a user's statement. `subject` is a subject id; for a personal access token, it is the owner's. */
export type RefusedStatement = Readonly<z.output<typeof refusedStatement>>;

const handover = z.object({
  /** When the supervisor started the server, in milliseconds since the epoch. Present where one process serves all requests. */
  startedMs: z.number().optional(),
  refused: z.array(refusedStatement).readonly(),
});
/** What the supervisor of `npm start` passes to the Worker. */
export type Handover = Readonly<z.output<typeof handover>>;

const handoverText = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue("not JSON");
    return z.NEVER;
  }
});

/** After this number of refused statements, no SQL of the user is run: each new statement could cost all users another restart. */
export const MAX_REFUSED_STATEMENTS = 3;

/** The statements that are refused, and the digests by which logs name statements. */
export interface RefusedStatements {
  /** Computes a keyed digest that names a statement in logs without revealing it. Null without a key, or when `sql` cannot be parsed. */
  digest(source: string, sql: string): string | null;
  /** Returns the `query_refused` error when this user may not run the statement. `isSaved`: the operator wrote its text. */
  findRefusal(subject: string, statement: string | null, isSaved: boolean): AppError | undefined;
}

/** What the refused statements are created from. */
interface RefusedStatementsOptions {
  /** The deployment's secret; null when it has none. */
  readonly key: Uint8Array | null;
  readonly refused: readonly RefusedStatement[];
  /** The contact that the refusal names. */
  readonly contact: string;
}

/** Creates the refused statements. */
export function createRefusedStatements({ key, refused, contact }: RefusedStatementsOptions): RefusedStatements {
  const statementsBySubject = Map.groupBy(refused, ({ subject }) => subject);
  return {
    digest(source, sql) {
      const normalized = key === null ? undefined : normalizeStatement(sql);
      if (key === null || normalized === undefined) return null;
      return bytesToHex(hmac(sha256, key, utf8ToBytes(JSON.stringify(["statement", source, normalized])))).slice(0, 32);
    },
    findRefusal(subject, statement, isSaved) {
      const userStatements = statementsBySubject.get(subject);
      if (userStatements === undefined) return undefined;
      if (userStatements.some((entry) => entry.statement === statement))
        return createRefusal(
          "The server stopped answering while it ran this statement for you, so you may not run it again, even with other values.",
          `Ask for less, for example with an equality on an indexed column for each joined table, or ask ${contact} to clear it.`,
        );
      if (isSaved || userStatements.length < MAX_REFUSED_STATEMENTS) return undefined;
      return createRefusal(
        `The server stopped answering while it ran ${userStatements.length} of your statements, so it does not run your SQL.`,
        `Ask ${contact} to clear them.`,
      );
    },
  };
}

/** Parses GATEHOUSE_SUPERVISOR, which is not set in a deployment. Throws `TypeError` for a value that the supervisor does not set. */
export function parseHandover(text: unknown): Handover {
  if (text === undefined || text === "") return { refused: [] };
  const parsed = handoverText.pipe(handover).safeParse(text);
  if (parsed.success) return parsed.data;
  throw new TypeError("GATEHOUSE_SUPERVISOR is not what npm start sets. Remove it from the configuration.");
}

function createRefusal(...sentences: readonly string[]): AppError {
  return new AppError("query_refused", sentences.join(" "));
}
