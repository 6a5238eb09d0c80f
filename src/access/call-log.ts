// The log of calls for operators: one line when a call begins and one when it ends. It holds no SQL, values, names of people or
// tokens: what was asked is in the user's record alone. The supervisor of `npm start` reads the lines to name the call that stopped it.
import * as z from "zod";
import { AppError } from "../errors.ts";
import type { Recorder } from "./recorded.ts";
import { StillRunning } from "./recorded.ts";

/** What both lines of a call say. */
const loggedCall = z.object({
  /** The call's id, as its record has it. */
  call: z.string(),
  /** The subject id. */
  subject: z.string(),
  /** The subject id of the owner, where an access token of a program calls. */
  owner: z.string().nullable(),
  operation: z.string(),
  /** A declared source, or the workspace; null for calls that are not queries. */
  source: z.string().nullable(),
  /** The digest of the statement; null for calls without one. */
  statement: z.string().nullable(),
});

const callLine = z.discriminatedUnion("event", [
  loggedCall.extend({ event: z.literal("call_begin") }),
  /** `outcome`: `answered` or an error code. `ms`: milliseconds since the beginning. */
  loggedCall.extend({ event: z.literal("call_end"), outcome: z.string(), ms: z.number() }),
]);

export type LoggedCall = Readonly<z.output<typeof loggedCall>>;
export type CallLine = Readonly<z.output<typeof callLine>>;

/** A statement without its text. */
export interface AskedStatement {
  /** A declared source or the workspace; null for any other name, as that is the caller's text. */
  readonly source: string | null;
  /** Null where none can be made: see `Statements.digest`. */
  readonly digest: string | null;
}

/** Logs that a call has begun. Returns what logs its end. */
export type CallLog = (call: LoggedCall) => (outcome: string) => void;

/** Writes each line as JSON, which Workers Logs takes apart by its fields. */
export function createCallLog(now: () => number, write: (line: string) => void): CallLog {
  return (call) => {
    const beganMs = now();
    const log = (line: CallLine): void => write(JSON.stringify(line));
    log({ event: "call_begin", ...call });
    return (outcome) => log({ event: "call_end", ...call, outcome, ms: now() - beganMs });
  };
}

export interface CallLogDependencies {
  /** Without it nothing is logged. */
  readonly logCall?: CallLog;
  readonly newId: () => string;
  /** Goes on with work after the answer has left. */
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/**
 * Logs each call that the recorder takes. The beginning is logged when the work begins, not while the call waits for its turn, and
 * the end when nothing of it runs any more: a call without an end is one that may keep the server.
 */
export function withCallLog(record: Recorder, { logCall, newId, waitUntil }: CallLogDependencies): Recorder {
  if (logCall === undefined) return record;
  return async (caller, asked, work) => {
    const { subjectId, token } = caller.identity;
    const { source = null, digest = null } = asked.statement ?? {};
    const begin = (call: string) =>
      logCall({
        call,
        subject: subjectId,
        owner: token?.ownerId ?? null,
        operation: asked.operation,
        source,
        statement: digest,
      });
    let logEnd: ReturnType<CallLog> | undefined;
    /** Of a query that the user no longer waits for, whatever else fails behind it. */
    let running: Promise<unknown> | undefined;
    try {
      const answer = await record(caller, asked, async (call) => {
        logEnd = begin(call.id);
        try {
          return await work(call);
        } catch (thrown) {
          if (thrown instanceof StillRunning) running = thrown.work;
          throw thrown;
        }
      });
      logEnd?.("answered");
      return answer;
    } catch (thrown) {
      // What the ledger refused has no record, so no id either.
      const end = logEnd ?? begin(newId());
      const isOver = (): void => end(thrown instanceof AppError ? thrown.code : "internal");
      if (running === undefined) isOver();
      else waitUntil(running.then(isOver, isOver));
      throw thrown;
    }
  };
}

/** Reads a line of the server's log; undefined for every line that is not about a call. */
export function parseCallLine(line: string): CallLine | undefined {
  if (!line.startsWith('{"event":"call_')) return undefined;
  try {
    return callLine.safeParse(JSON.parse(line)).data;
  } catch {
    // A line that was cut off.
    return undefined;
  }
}
