// Writes refusals by a defence to the operator's log. The first refusal of a kind is logged at once, so that an operator sees it right
// after an upgrade of the platform. Later ones are counted and logged at most once a minute, so that an attacker cannot flood the log.
import type { DefenceCode, OnRefusal } from "../sql/defence-refusal.ts";

/** The key under which the log shows the detail of each code. */
const DETAIL_NAMES: Readonly<Record<DefenceCode, string>> = {
  unknown_opcode: "opcode",
  forbidden_opcode: "opcode",
  forbidden_function: "function",
  forbidden_read: "layer",
  forbidden_action: "layer",
  schema_drift: "cause",
  order_leak: "cause",
  planning_limit: "limit",
};

/** The shortest time between two lines of one kind. */
const QUIET_MS = 60_000;
/** Bounds memory. Details are names of the platform, which has far fewer, so further kinds are not expected and not logged. */
const MAX_REFUSAL_KINDS = 500;
/** The form of SQLite's names. Any other detail is logged as `other`, so that no SQL or data can reach the log. */
const DETAIL = /^[\w>-]{1,40}$/;

interface RefusalCount {
  /** When the last line of this kind was written. */
  loggedAtMs: number;
  /** Refusals since that line. */
  count: number;
}

/** What a defence log writes to, and its clock. */
interface DefenceLogOptions {
  /** Writes a line. Lines hold no SQL, no values and nothing about a user. */
  readonly log: (line: string) => void;
  /** The time in milliseconds. */
  readonly now: () => number;
}

/** Creates the defence log of an isolate. The result gives each source, by name, the callback that its middleware reports to. */
export function createDefenceLog({ log, now }: DefenceLogOptions): (source: string) => OnRefusal {
  const refusalCounts = new Map<string, RefusalCount>();

  const write = (key: string, refusalCount: RefusalCount): void => {
    log(`defence ${key} count=${refusalCount.count}`);
    refusalCount.loggedAtMs = now();
    refusalCount.count = 0;
  };
  return (source) =>
    ({ code, detail }) => {
      const loggedDetail = DETAIL.test(detail) ? detail : "other";
      const key = `code=${code} ${DETAIL_NAMES[code]}=${loggedDetail} source=${source}`;
      if (!refusalCounts.has(key) && refusalCounts.size >= MAX_REFUSAL_KINDS) return;
      const refusalCount = refusalCounts.get(key) ?? { loggedAtMs: -Infinity, count: 0 };
      refusalCounts.set(key, refusalCount);
      refusalCount.count += 1;
      // There is no timer, so each refusal also writes the pending counts of other kinds.
      for (const [pendingKey, pending] of refusalCounts) {
        if (pending.count > 0 && now() - pending.loggedAtMs >= QUIET_MS) write(pendingKey, pending);
      }
    };
}
