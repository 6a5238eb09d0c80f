// Tracks from the server's log which calls are open, and guesses which of them blocks the server. Pure.
import { parseCallLine } from "../../../src/audit/call-log.ts";
import type { LoggedCall } from "../../../src/audit/call-log.ts";

/** The call that most probably stopped the server. */
export interface Suspect {
  readonly call: LoggedCall;
  /** Whether a call of the same user with the same statement was also open at an earlier stop. */
  readonly isRepeated: boolean;
}

/** The calls that have begun and not ended. */
interface OpenCalls {
  /** Reads a line of the server's log. Returns whether it says that an open call has ended. */
  read(line: string): boolean;
  /** Ends all open calls because the server stopped. Returns the most probable cause; undefined when no call was open. */
  end(): Suspect | undefined;
  /** Ends all open calls without blaming one, because the server was stopped on purpose. */
  forget(): void;
}

/** The number of statements remembered in each set; the oldest are forgotten. */
const MAX_REMEMBERED = 1000;

/** The user responsible for a call: a personal access token's calls are its owner's. */
export function userOf({ owner, subject }: LoggedCall): string {
  return owner ?? subject;
}

/**
 * Creates a tracker of open calls. Several calls may be open when the server stops, because the others wait behind the one that blocks.
 * The suspect is chosen by these criteria, in order: its statement was open at an earlier stop; its statement was never answered; it
 * began last. The guess may be wrong and refuse another user's statement, until the operator clears it.
 */
export function followCalls(): OpenCalls {
  const open = new Map<string, LoggedCall>();
  const answered = new Set<string>();
  const openAtEnds = new Set<string>();
  const keyOf = (call: LoggedCall): string => `${userOf(call)} ${call.statement ?? call.operation}`;
  const score = (call: LoggedCall): number =>
    (call.statement === null ? 0 : 4) + (openAtEnds.has(keyOf(call)) ? 2 : 0) + (answered.has(keyOf(call)) ? 0 : 1);
  return {
    forget: () => open.clear(),
    read(text) {
      const line = parseCallLine(text);
      if (line === undefined) return false;
      if (line.event === "call_begin") {
        open.set(line.call, line);
        return false;
      }
      if (line.outcome === "answered") remember(answered, keyOf(line));
      return open.delete(line.call);
    },
    end() {
      const calls = [...open.values()];
      open.clear();
      const best = Math.max(...calls.map(score));
      const call = calls.findLast((candidate) => score(candidate) === best);
      const isRepeated = call !== undefined && openAtEnds.has(keyOf(call));
      for (const openCall of calls) remember(openAtEnds, keyOf(openCall));
      return call === undefined ? undefined : { call, isRepeated };
    },
  };
}

function remember(set: Set<string>, key: string): void {
  set.delete(key);
  set.add(key);
  const [oldest] = set;
  if (set.size > MAX_REMEMBERED && oldest !== undefined) set.delete(oldest);
}
