// Saved queries as people use them: told of, and run with values of the declared types.
import { AppError } from "../errors.ts";
import type { ColumnType, Policy, SavedQuery, Subject } from "../policy/model.ts";
import { savedFor } from "../policy/saved.ts";
import type { SqlValue } from "../sql/parameters.ts";
import type { FetchAnswer } from "./fetched.ts";
import type { Answered } from "./recorded.ts";

export interface SavedDescription {
  readonly saved: string;
  readonly description: string;
  /** In the order in which query takes their values, as `name (type): meaning`. */
  readonly params: readonly string[];
}

export function describeSaved({ name, description, parameters }: SavedQuery): SavedDescription {
  const params = parameters.map((parameter) => `${parameter.name} (${parameter.type}): ${parameter.description}`);
  return { saved: name, description, params };
}

/** The query of this name, if the person may run it. Errors: `not_found`, with those that there are. */
export function findSaved(policy: Policy, subject: Subject, name: string): SavedQuery {
  const own = savedFor(policy, subject);
  const found = own.find((query) => query.name === name);
  if (found !== undefined) return found;
  const choice = own.length === 0 ? "There is none." : `There are: ${own.map((query) => query.name).join(", ")}.`;
  const message = `There is no saved query ${JSON.stringify(name)} that you may run. ${choice}`;
  throw new AppError("not_found", message, { isMissing: true });
}

/** One value for each `?`. Errors: `invalid_input` with the parameter, what it takes and what came. */
export function bindSaved({ name, parameters, order }: SavedQuery, values: readonly SqlValue[]): readonly SqlValue[] {
  if (values.length !== parameters.length) {
    const wanted = parameters.map((parameter) => `${parameter.name} (${parameter.type})`).join(", ");
    throw new AppError(
      "invalid_input",
      `${name} takes ${parameters.length} value(s) in params, in this order: ${wanted || "none"}.`,
    );
  }
  const bound = new Map(
    parameters.map((parameter, index) => [parameter.name, fitted(parameter, values[index] ?? null)]),
  );
  return order.map((parameter) => bound.get(parameter) ?? null);
}

function fitted({ name, type }: SavedQuery["parameters"][number], value: SqlValue): SqlValue {
  if (value === null || FITS[type](value)) return value;
  throw new AppError("invalid_input", `The parameter ${name} takes ${TAKES[type]}, not ${JSON.stringify(value)}.`);
}

const isNumber = (value: SqlValue): boolean => typeof value === "number";
const isText = (value: SqlValue): boolean => typeof value === "string";

const FITS: Readonly<Record<ColumnType, (value: SqlValue) => boolean>> = {
  integer: (value) => Number.isSafeInteger(value),
  real: isNumber,
  boolean: (value) => value === 0 || value === 1,
  text: isText,
  json: isText,
  date: (value) => typeof value === "string" && /^\d{4}-\d{2}-\d{2}$/.test(value),
  datetime: (value) => typeof value === "string" && /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?.*)?$/.test(value),
};

const TAKES: Readonly<Record<ColumnType, string>> = {
  integer: "a whole number",
  real: "a number",
  boolean: "true or false",
  text: "text",
  json: "JSON as text",
  date: "a date such as 2026-05-31",
  datetime: "a date or a time such as 2026-05-31 14:00:00",
};

/** A saved query as fetch gives it, by its name or URI; undefined when the id is of none that the person may run. */
export function fetchSaved(policy: Policy, subject: Subject, id: string): Answered<FetchAnswer> | undefined {
  const query = savedFor(policy, subject).find(({ name }) => name === id || savedUri(name) === id);
  if (query === undefined) return undefined;
  const { description, params } = describeSaved(query);
  const call = `To run: query with saved "${query.name}" and params [${query.parameters.map(({ name }) => name).join(", ")}].`;
  const text = [description, "", call, ...params.map((parameter) => `- ${parameter}`)].join("\n");
  const answer = {
    id: query.name,
    title: `Saved query ${query.name}`,
    text,
    url: savedUri(query.name),
    metadata: { kind: "saved" },
  };
  return { answer, datasets: [], rules: [] };
}

export function savedUri(name: string): string {
  return `gatehouse://saved/${name}`;
}
