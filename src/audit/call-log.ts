// The call log for operators: one line when a call begins and one when it ends. It holds no SQL, values, email addresses or access
// tokens; only the audit record has the request text. The supervisor of `npm start` reads the lines to find the call that stopped it.
import * as z from "zod";
import { AppError } from "../errors.ts";
import type { WithAudit } from "./audit.ts";
import { StillRunningError } from "./audit.ts";
import { NO_SPANS } from "../lib/spans.ts";
import type { Spans } from "../lib/spans.ts";

/** The fields of both lines. */
const loggedCall = z.object({
  /** The id of the call, as in its audit record. */
  call: z.string(),
  /** The subject id. */
  subject: z.string(),
  /** The subject id of the owner when a personal access token makes the call. */
  owner: z.string().nullable(),
  operation: z.string(),
  /** A declared source or the workspace; null for calls that are not queries. */
  source: z.string().nullable(),
  /** The digest of the statement; null for calls without one. */
  statement: z.string().nullable(),
  /** The id of the platform's trace; null when it records none. */
  trace: z.string().nullable(),
  /** The trace id that the client sent in `_meta.traceparent`; null for none. */
  clientTrace: z.string().nullable(),
});

const callLine = z.discriminatedUnion("event", [
  loggedCall.extend({ event: z.literal("call_begin") }),
  /** `outcome`: `answered` or an error code. `ms`: the duration in milliseconds. */
  loggedCall.extend({ event: z.literal("call_end"), outcome: z.string(), ms: z.number() }),
]);

/** What the log says about a call. */
export type LoggedCall = Readonly<z.output<typeof loggedCall>>;
/** One line of the call log. */
export type CallLine = Readonly<z.output<typeof callLine>>;

/** A statement without its text. */
export interface LoggedStatement {
  /** A declared source or the workspace; null for any other name, because that is text of the caller. */
  readonly source: string | null;
  /** Null when there is no digest: see `RefusedStatements.digest`. */
  readonly digest: string | null;
}

/** Logs the end of a call. `outcome`: `answered` or an error code. */
type LogCallEnd = (outcome: string) => void;
/** Logs that a call has begun. Returns the function that logs its end. */
export type CallLog = (call: LoggedCall) => LogCallEnd;

/** Creates a call log that writes each line as JSON, because Workers Logs indexes JSON by field. */
export function createCallLog(now: () => number, write: (line: string) => void): CallLog {
  return (call) => {
    const startedAtMs = now();
    const log = (line: CallLine): void => write(JSON.stringify(line));
    log({ event: "call_begin", ...call });
    return (outcome) => log({ event: "call_end", ...call, outcome, ms: now() - startedAtMs });
  };
}

/** What `withCallLog` needs. */
export interface CallLogDependencies {
  /** Nothing is logged without it. */
  readonly logCall?: CallLog;
  readonly newId: () => string;
  /** See `Spans`. Without it, the log has no ids of traces. */
  readonly readTraceId?: Spans["readTraceId"];
  /** Continues work after the response was sent. */
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/**
 * Wraps `withAudit` so that each call is logged. The first line is logged when the work begins, not while the call waits for its lock,
 * and the second when all of its work has ended: a call without a second line may be the one that blocks the server.
 */
export function withCallLog(
  withAudit: WithAudit,
  { logCall, newId, readTraceId = NO_SPANS.readTraceId, waitUntil }: CallLogDependencies,
): WithAudit {
  if (logCall === undefined) return withAudit;
  return async (caller, request, work) => {
    const { subjectId, token } = caller.identity;
    const { source = null, digest = null } = request.statement ?? {};
    const begin = (call: string) =>
      logCall({
        call,
        subject: subjectId,
        owner: token?.ownerId ?? null,
        operation: request.operation,
        source,
        statement: digest,
        trace: readTraceId(),
        clientTrace: caller.clientTraceId ?? null,
      });
    let logEnd: LogCallEnd | undefined;
    /** The work of a query that was answered with an error but still runs, even when its audit record fails afterwards. */
    let pendingWork: Promise<unknown> | undefined;
    try {
      const answer = await withAudit(caller, request, async (call) => {
        logEnd = begin(call.id);
        try {
          return await work(call);
        } catch (thrown) {
          if (thrown instanceof StillRunningError) pendingWork = thrown.pendingWork;
          throw thrown;
        }
      });
      logEnd?.("answered");
      return answer;
    } catch (thrown) {
      // A call that the ledger refused has no audit record, so it gets a new id.
      const logOutcome = logEnd ?? begin(newId());
      const logFailure = (): void => logOutcome(thrown instanceof AppError ? thrown.code : "internal");
      if (pendingWork === undefined) logFailure();
      else waitUntil(pendingWork.then(logFailure, logFailure));
      throw thrown;
    }
  };
}

/** Parses a line of the server's log; undefined for every line that is not of the call log. */
export function parseCallLine(line: string): CallLine | undefined {
  if (!line.startsWith('{"event":"call_')) return undefined;
  try {
    return callLine.safeParse(JSON.parse(line)).data;
  } catch {
    // The line was truncated.
    return undefined;
  }
}
