// Presents saved queries to users: describes them, finds them by name, and checks the values of their parameters. Does not run them; see
// gateway/query.ts.
import { AppError } from "../errors.ts";
import type { ColumnType, Policy, SavedQuery, Subject } from "../policy/model.ts";
import { listSavedQueries } from "../policy/saved-query.ts";
import { findNumberProblem, parseInteger, parseReal } from "../sql/parameters.ts";
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

/** Gives a parameter's value the parameter's type. */
function requireParameterValue({ name, type }: SavedQuery["parameters"][number], value: SqlValue): SqlValue {
  if (value === null) return null;
  const problem = findNumberProblem(value);
  if (problem !== undefined) throw new AppError("invalid_input", `The value of the parameter ${name} ${problem}`);
  const typedValue = PARAMETER_PARSERS[type](value);
  if (typedValue !== undefined) return typedValue;
  throw new AppError(
    "invalid_input",
    `The parameter ${name} takes ${PARAMETER_FORMS[type]}, not ${JSON.stringify(value)}.`,
  );
}

type ParameterParser = (value: SqlValue) => SqlValue | undefined;

const parseText: ParameterParser = (value) => (typeof value === "string" ? value : undefined);

/** Each gives the value that the parameter binds; undefined for a value that does not fit. */
const PARAMETER_PARSERS: Readonly<Record<ColumnType, ParameterParser>> = {
  integer(value) {
    if (typeof value === "string") return parseInteger(value);
    return Number.isSafeInteger(value) ? value : undefined;
  },
  // A whole number binds as a real too: `:x / 2` with 5 is 2.5.
  real(value) {
    if (typeof value === "string") return parseReal(value);
    return typeof value === "number" ? { kind: "real", value } : undefined;
  },
  boolean: (value) => (value === 0 || value === 1 ? value : undefined),
  text: parseText,
  json: parseText,
  date: (value) => (typeof value === "string" && isDate(value) ? value : undefined),
  datetime: (value) => (typeof value === "string" && isDateTime(value) ? value : undefined),
};

/** Whether a text is a day that exists. SQLite takes 2026-02-31 for a day in March, and sorts 2026-13-01 after every day of 2026. */
function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}

/** A time of day, with seconds and their fraction, and an offset from UTC. */
const TIME = /^[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)? ?(?:Z|[+-]\d{2}:?\d{2}|UTC)?$/i;

function isDateTime(text: string): boolean {
  return isDate(text.slice(0, 10)) && (text.length === 10 || TIME.test(text.slice(10)));
}

const PARAMETER_FORMS: Readonly<Record<ColumnType, string>> = {
  integer: "a whole number of at most 64 bits",
  real: "a number, or one as text (a whole number beyond 2^53 only if a real can hold it, otherwise with .0)",
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
