// Statements that stopped the server while they ran, refused to their users until the operator clears them. The supervisor of
// `npm start` hands them to the Worker as a variable at each start; a deployment has none, so there nothing is compared.
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import * as z from "zod";
import { AppError } from "../errors.ts";
import { shapeOf } from "../sql/shape.ts";

/** A user's statement, by its digest. `subject` is a subject id: of an access token, its owner's. */
const refusedStatement = z.object({ subject: z.string(), statement: z.string() });
export type RefusedStatement = Readonly<z.output<typeof refusedStatement>>;

const handover = z.object({
  /** When this process began, by the time of day: what earlier calls hold, they hold no more. */
  startedMs: z.number().optional(),
  refused: z.array(refusedStatement).readonly(),
});
export type Handover = Readonly<z.output<typeof handover>>;

const handoverText = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue("not JSON");
    return z.NEVER;
  }
});

/** Statements of one user after which none of their SQL is run: each new one would cost all users another restart. */
export const MAX_REFUSED_STATEMENTS = 3;

export interface Statements {
  /** Names a statement in logs. Testing whether a digest is of some statement needs the key. Null without a key. */
  digest(source: string, sql: string): string | null;
  /** Why this user may not run the statement: `query_refused`. Undefined when they may. `isSaved`: its text is the operator's. */
  refusalOf(subject: string, statement: string | null, isSaved: boolean): AppError | undefined;
}

export interface StatementsOptions {
  /** The deployment's secret; null when it has none. */
  readonly key: Uint8Array | null;
  readonly refused: readonly RefusedStatement[];
  /** The contact that the refusal names. */
  readonly contact: string;
}

export function createStatements({ key, refused, contact }: StatementsOptions): Statements {
  const refusedTo = Map.groupBy(refused, ({ subject }) => subject);
  return {
    digest(source, sql) {
      const shape = key === null ? undefined : shapeOf(sql);
      if (key === null || shape === undefined) return null;
      return bytesToHex(hmac(sha256, key, utf8ToBytes(JSON.stringify(["statement", source, shape])))).slice(0, 32);
    },
    refusalOf(subject, statement, isSaved) {
      const own = refusedTo.get(subject);
      if (own === undefined) return undefined;
      if (own.some((entry) => entry.statement === statement))
        return refusal(
          `The server stopped answering while it ran this statement for you, so you may not run it again, with other values either. Ask for less, such as with an equality on an indexed column for each joined table, or ask ${contact} to clear it.`,
        );
      if (isSaved || own.length < MAX_REFUSED_STATEMENTS) return undefined;
      return refusal(
        `The server stopped answering while it ran ${own.length} of your statements, so none of your SQL is run. Ask ${contact} to clear them.`,
      );
    },
  };
}

/** Reads what the supervisor hands over; a deployment has none. Throws `TypeError` for anything else. */
export function parseHandover(text: unknown): Handover {
  if (text === undefined || text === "") return { refused: [] };
  const parsed = handoverText.pipe(handover).safeParse(text);
  if (parsed.success) return parsed.data;
  throw new TypeError("GATEHOUSE_SUPERVISOR is not what npm start sets. Remove it from the configuration.");
}

function refusal(message: string): AppError {
  return new AppError("query_refused", message);
}
