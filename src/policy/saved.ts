// Saved queries: SQL that an operator has written, with named and typed parameters, for people to run by name. They run over the
// same guard views as any SQL of the person.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { tokenize } from "../sql/tokenizer.ts";
import { parseStatement } from "../sql/statement.ts";
import type { Policy, SavedQuery, Subject } from "./model.ts";

export type ParsedSaved =
  | { readonly ok: true; readonly text: string; readonly order: readonly string[] }
  /** What is wrong and what would be right. */
  | { readonly ok: false; readonly problem: string };

/** Reads `:name` parameters: the SQL with `?` in their places, and which parameter each is. */
export function parseSaved(sql: string, parameters: readonly string[]): ParsedSaved {
  const order: string[] = [];
  let text = "";
  let end = 0;
  for (const { kind, start, end: after, value } of tokenize(sql)) {
    if (kind !== "variable") continue;
    const name = value.slice(1);
    if (!value.startsWith(":") || !parameters.includes(name))
      return { ok: false, problem: `has the parameter ${value}. Declare it under params, and write it as :name.` };
    text += `${sql.slice(end, start)}?`;
    end = after;
    order.push(name);
  }
  text += sql.slice(end);
  const unused = parameters.find((name) => !order.includes(name));
  if (unused !== undefined)
    return { ok: false, problem: `does not use the parameter ${unused}. Remove it, or write :${unused}.` };
  try {
    return { ok: true, text: parseStatement(text).text, order };
  } catch (error) {
    return { ok: false, problem: error instanceof Error ? error.message : "cannot be read." };
  }
}

/** The saved queries that a person may run. */
export function savedFor({ queries, roles }: Policy, subject: Subject): readonly SavedQuery[] {
  const own = new Set(roles.filter(({ name }) => subject.roles.includes(name)).flatMap((role) => role.queries));
  return queries.filter(({ name }) => own.has(name));
}

/** A digest of what a saved query does: its source, its SQL and its parameters. Descriptions do not count. */
export function definitionOf({ source, text, order, parameters }: SavedQuery): string {
  const definition = [source, text, order, parameters.map(({ name, type }) => [name, type])];
  return bytesToHex(sha256(utf8ToBytes(JSON.stringify(definition))));
}

/** The person as free reads see them: without the roles that are for saved queries only. */
export function freely(policy: Policy, subject: Subject): Subject {
  return withRoles(policy, subject, () => false);
}

/** The person as a saved query sees them: also with the roles that are given it and nothing else. */
export function forSaved(policy: Policy, subject: Subject, query: SavedQuery): Subject {
  return withRoles(policy, subject, (queries) => queries.includes(query.name));
}

function withRoles({ roles }: Policy, subject: Subject, counts: (queries: readonly string[]) => boolean): Subject {
  const kept = roles.filter(({ savedOnly, queries }) => !savedOnly || counts(queries)).map(({ name }) => name);
  return { ...subject, roles: subject.roles.filter((role) => kept.includes(role)) };
}
