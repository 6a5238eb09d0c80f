// Parses saved queries and decides who may run them. A saved query is SQL that an operator wrote, with named and typed parameters, and
// that users run by name. It runs over the same guard views as a user's own SQL.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { tokenize } from "../sql/lexer.ts";
import { parseStatement } from "../sql/statement.ts";
import type { Policy, SavedQuery, Subject } from "./model.ts";

/** The result of `parseSavedQuery`. `order` names the parameter of each `?` in `text`. */
type ParsedSavedQuery =
  | { readonly ok: true; readonly text: string; readonly order: readonly string[] }
  /** The problem and the correction, as the rest of a sentence that begins with "The SQL", or with it. */
  | { readonly ok: false; readonly problem: string };

/** Replaces each `:name` in the SQL by `?`, and checks that every parameter is declared and used. */
export function parseSavedQuery(sql: string, parameters: readonly string[]): ParsedSavedQuery {
  const placeholderNames: string[] = [];
  let text = "";
  let copiedEnd = 0;
  for (const { kind, start, end, value } of tokenize(sql)) {
    if (kind !== "variable") continue;
    const name = value.slice(1);
    if (!value.startsWith(":") || !parameters.includes(name))
      return { ok: false, problem: `contains the parameter ${value}. Declare it under params, and write it as :name.` };
    text += `${sql.slice(copiedEnd, start)}?`;
    copiedEnd = end;
    placeholderNames.push(name);
  }
  text += sql.slice(copiedEnd);
  const unused = parameters.find((name) => !placeholderNames.includes(name));
  if (unused !== undefined)
    return { ok: false, problem: `does not use the parameter ${unused}. Remove it, or write :${unused}.` };
  try {
    return { ok: true, text: parseStatement(text).text, order: placeholderNames };
  } catch (error) {
    return { ok: false, problem: error instanceof Error ? error.message : "cannot be read." };
  }
}

/** Lists the saved queries that the subject's roles may run. */
export function listSavedQueries({ queries, roles }: Policy, subject: Subject): readonly SavedQuery[] {
  const queryNames = new Set(roles.filter(({ name }) => subject.roles.includes(name)).flatMap((role) => role.queries));
  return queries.filter(({ name }) => queryNames.has(name));
}

/** Computes a digest of a saved query's source, SQL and parameters, as 64 lower-case hex digits. Descriptions do not change it. */
export function digestSavedQuery({ source, text, order, parameters }: SavedQuery): string {
  const definition = [source, text, order, parameters.map(({ name, type }) => [name, type])];
  return bytesToHex(sha256(utf8ToBytes(JSON.stringify(definition))));
}

/** Gives the subject for every read that is not a saved query: without the roles that are `savedOnly`. */
export function withoutSavedOnlyRoles(policy: Policy, subject: Subject): Subject {
  return filterSavedOnlyRoles(policy, subject, () => false);
}

/** Gives the subject for one saved query: with those `savedOnly` roles that may run this query. */
export function withSavedQueryRoles(policy: Policy, subject: Subject, query: SavedQuery): Subject {
  return filterSavedOnlyRoles(policy, subject, (queries) => queries.includes(query.name));
}

function filterSavedOnlyRoles(
  { roles }: Policy,
  subject: Subject,
  isActive: (queries: readonly string[]) => boolean,
): Subject {
  const activeRoles = roles.filter(({ savedOnly, queries }) => !savedOnly || isActive(queries)).map(({ name }) => name);
  return { ...subject, roles: subject.roles.filter((role) => activeRoles.includes(role)) };
}
