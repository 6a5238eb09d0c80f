// Which calls have begun and not ended, by the log of the server, and which of them most probably keeps it. Pure.
import { parseCallLine } from "../../src/access/call-log.ts";
import type { LoggedCall } from "../../src/access/call-log.ts";

export interface Suspect {
  readonly call: LoggedCall;
  /** Whether a call of the same user with the same statement was open when the server ended before. */
  readonly isRepeated: boolean;
}

export interface OpenCalls {
  /** Takes a line of the server's log. */
  read(line: string): void;
  /** The server has ended, and with it all its calls: the most probable cause; undefined when no call was open. */
  end(): Suspect | undefined;
  /** The server has ended for a reason of its own: none of its calls is to blame. */
  forget(): void;
}

/** Statements that are remembered; the oldest are forgotten. */
const MAX_REMEMBERED = 1000;

/** Who answers for a call: a program's access token is its owner's. */
export function userOf({ owner, subject }: LoggedCall): string {
  return owner ?? subject;
}

/**
 * Follows calls. Several may be open when the server stops, as all but one wait for a database behind the first. That is by these in
 * turn: whose statement was open at an earlier end; whose statement has never been answered; which began last. A guess may still
 * refuse the statement of another user, until the operator clears it.
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
      if (line === undefined) return;
      if (line.event === "call_begin") return void open.set(line.call, line);
      open.delete(line.call);
      if (line.outcome === "answered") remember(answered, keyOf(line));
    },
    end() {
      const calls = [...open.values()];
      open.clear();
      const best = Math.max(...calls.map(score));
      const call = calls.findLast((candidate) => score(candidate) === best);
      const isRepeated = call !== undefined && openAtEnds.has(keyOf(call));
      for (const each of calls) remember(openAtEnds, keyOf(each));
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
