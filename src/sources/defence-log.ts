// Turns refusals by a defence into lines of the log: each kind at once, so that an operator sees the first after an upgrade of
// the platform, and then its count at most once a minute, so that an attacker cannot flood the log.
import type { DefenceCode, OnRefusal } from "../sql/defence.ts";

/** What the detail of a code is. */
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

const QUIET_MS = 60_000;
/** Kinds that are told apart: names come from the platform, which has far fewer. */
const MAX_KINDS = 500;
/** A name of SQLite's. Nothing else is written, whatever a layer reports. */
const DETAIL = /^[\w>-]{1,40}$/;

interface Kind {
  /** Of the last line. */
  at: number;
  /** Since that line. */
  count: number;
}

export interface DefenceLogOptions {
  /** Writes a line. It holds no SQL, no value and nothing about a person. */
  readonly log: (line: string) => void;
  readonly now: () => number;
}

/** The log of an isolate; gives each source, by name, what its layers report to. */
export function createDefenceLog({ log, now }: DefenceLogOptions): (source: string) => OnRefusal {
  const kinds = new Map<string, Kind>();

  const write = (key: string, kind: Kind): void => {
    log(`defence ${key} count=${kind.count}`);
    kind.at = now();
    kind.count = 0;
  };
  return (source) =>
    ({ code, detail }) => {
      const shown = DETAIL.test(detail) ? detail : "other";
      const key = `code=${code} ${DETAIL_NAMES[code]}=${shown} source=${source}`;
      if (!kinds.has(key) && kinds.size >= MAX_KINDS) return;
      const kind = kinds.get(key) ?? { at: -Infinity, count: 0 };
      kinds.set(key, kind);
      kind.count += 1;
      // Each refusal also writes the counts of other kinds that have waited: without a timer, nothing else would.
      for (const [waiting, other] of kinds) {
        if (other.count > 0 && now() - other.at >= QUIET_MS) write(waiting, other);
      }
    };
}
