// Presents saved queries to users: describes them, finds them by name, and checks the values of their parameters. Does not run them; see
// gateway/query.ts.
import { AppError } from "../errors.ts";
import type { ColumnType, Policy, SavedQuery, Subject } from "../policy/model.ts";
import { listSavedQueries } from "../policy/saved-query.ts";
import type { SqlValue } from "../sql/parameters.ts";
import type { FetchAnswer } from "../answers/fetch-answer.ts";
import type { Audited } from "../audit/audit.ts";

/** A saved query as the tool describe lists it. */
export interface SavedQueryDescription {
  readonly saved: string;
  readonly description: string;
  /** The parameters as `name (type): meaning`, in the order in which the tool query takes their values. */
  readonly params: readonly string[];
}

/** Describes a saved query for the tools describe and fetch. */
export function describeSavedQuery({ name, description, parameters }: SavedQuery): SavedQueryDescription {
  const params = parameters.map((parameter) => `${parameter.name} (${parameter.type}): ${parameter.description}`);
  return { saved: name, description, params };
}

/** Finds a saved query that the subject may run. Errors: `not_found`, with the names of those that the subject may run. */
export function findSavedQuery(policy: Policy, subject: Subject, name: string): SavedQuery {
  const savedQueries = listSavedQueries(policy, subject);
  const query = savedQueries.find((candidate) => candidate.name === name);
  if (query !== undefined) return query;
  const choices =
    savedQueries.length === 0
      ? "There is none."
      : `There are: ${savedQueries.map((candidate) => candidate.name).join(", ")}.`;
  const message = `There is no saved query ${JSON.stringify(name)} that you may run. ${choices}`;
  throw new AppError("not_found", message, { isMissing: true });
}

/** Gives one value for each `?` of the query. Errors: `invalid_input`, with the parameter, the type that it takes and the value. */
export function bindSavedQuery(
  { name, parameters, order }: SavedQuery,
  values: readonly SqlValue[],
): readonly SqlValue[] {
  if (values.length !== parameters.length) {
    const parameterList = parameters.map((parameter) => `${parameter.name} (${parameter.type})`).join(", ");
    throw new AppError(
      "invalid_input",
      `${name} takes ${parameters.length} value(s) in params, in this order: ${parameterList || "none"}.`,
    );
  }
  const valueByName = new Map(
    parameters.map((parameter, index) => [parameter.name, requireParameterValue(parameter, values[index] ?? null)]),
  );
  return order.map((parameter) => valueByName.get(parameter) ?? null);
}

function requireParameterValue({ name, type }: SavedQuery["parameters"][number], value: SqlValue): SqlValue {
  if (value === null || PARAMETER_CHECKS[type](value)) return value;
  throw new AppError(
    "invalid_input",
    `The parameter ${name} takes ${PARAMETER_FORMS[type]}, not ${JSON.stringify(value)}.`,
  );
}

const isNumber = (value: SqlValue): boolean => typeof value === "number";
const isText = (value: SqlValue): boolean => typeof value === "string";

const PARAMETER_CHECKS: Readonly<Record<ColumnType, (value: SqlValue) => boolean>> = {
  integer: (value) => Number.isSafeInteger(value),
  real: isNumber,
  boolean: (value) => value === 0 || value === 1,
  text: isText,
  json: isText,
  date: (value) => typeof value === "string" && /^\d{4}-\d{2}-\d{2}$/.test(value),
  datetime: (value) => typeof value === "string" && /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?.*)?$/.test(value),
};

const PARAMETER_FORMS: Readonly<Record<ColumnType, string>> = {
  integer: "a whole number",
  real: "a number",
  boolean: "true or false",
  text: "text",
  json: "JSON as text",
  date: "a date such as 2026-05-31",
  datetime: "a date or a time such as 2026-05-31 14:00:00",
};

/** Fetches a saved query by its name or URI. Undefined when the subject may not run a saved query with this id. */
export function fetchSavedQuery(policy: Policy, subject: Subject, id: string): Audited<FetchAnswer> | undefined {
  const query = listSavedQueries(policy, subject).find(({ name }) => name === id || savedQueryUri(name) === id);
  if (query === undefined) return undefined;
  const { description, params } = describeSavedQuery(query);
  const parameterNames = query.parameters.map(({ name }) => name).join(", ");
  const call = `To run it, call query with saved "${query.name}" and params [${parameterNames}].`;
  const text = [description, "", call, ...params.map((parameter) => `- ${parameter}`)].join("\n");
  const answer = {
    id: query.name,
    title: `Saved query ${query.name}`,
    text,
    url: savedQueryUri(query.name),
    metadata: { kind: "saved" },
  };
  return { answer, datasets: [], rules: [] };
}

/** Gives the resource URI of a saved query. */
export function savedQueryUri(name: string): string {
  return `gatehouse://saved/${name}`;
}
