// Says in words what a member has or had: for the output of commands, the answer of the API and the record of a removal.
import { displayName } from "../lib/visible-text.ts";
import type { StoredRemoval } from "./removal-store.ts";

/** The most names of connections or personal access tokens in one text. */
const MAX_NAMES = 20;

/** Lists each kind of access with its number, such as `2 connections (Claude, Cursor)`; kinds that the member lacks are left out. */
export function describeHeld(held: Pick<StoredRemoval, "pats" | "browserSessions" | "objects">): readonly string[] {
  const { pats, browserSessions, objects } = held;
  const { connections = [], sessions = 0, results = 0, calls = 0, questions = 0 } = objects ?? {};
  return [
    ...countNames(
      connections.map(({ clientName }) => displayName(clientName)),
      "connection",
    ),
    ...countNames(
      pats.map(({ name }) => displayName(name)),
      "personal access token",
    ),
    ...count(browserSessions, "browser session"),
    ...count(sessions, "session"),
    ...count(results, "result"),
    ...count(calls, "running call"),
    ...count(questions, "open question"),
  ];
}

function count(number: number, noun: string): readonly string[] {
  return number === 0 ? [] : [`${number} ${noun}${number === 1 ? "" : "s"}`];
}

function countNames(names: readonly string[], noun: string): readonly string[] {
  const shown = names.length > MAX_NAMES ? [...names.slice(0, MAX_NAMES), "…"] : names;
  return count(names.length, noun).map((text) => `${text} (${shown.join(", ")})`);
}
