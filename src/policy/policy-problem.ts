// The mistakes of a policy file as data: the path in its object, and the problem with its correction. Commands find the place in the
// file by the path.
import type * as z from "zod";
import { suggestName } from "../sql/suggest.ts";

/** Keys and indexes from the outermost object inwards. */
export type ProblemPath = readonly (string | number)[];

/** A mistake in the policy file. */
export interface PolicyProblem {
  readonly path: ProblemPath;
  /** The problem and the correction. */
  readonly message: string;
  /** The data file that `path` leads into, relative to the repository; absent for the policy file itself. */
  readonly file?: string;
}

/** The policy file cannot be used. The message has one line for each problem. */
export class PolicyFileError extends TypeError {
  readonly problems: readonly PolicyProblem[];

  constructor(problems: readonly PolicyProblem[]) {
    const lines = problems.map(
      ({ file, path, message }) => `- ${file === undefined ? "" : `${file}: `}${formatPath(path)}: ${message}`,
    );
    super(`The policy file has ${problems.length} problem(s):\n${lines.join("\n")}`);
    this.name = "PolicyFileError";
    this.problems = problems;
  }
}

/** Writes a path as code does: `members[0].roles`, `groups["Data Team"][0]`. */
export function formatPath(path: ProblemPath): string {
  if (path.length === 0) return "(the whole file)";
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    if (!/^[\p{L}\p{N}_-]+$/u.test(part)) return `${text}[${JSON.stringify(part)}]`;
    return `${text}${text === "" ? "" : "."}${part}`;
  }, "");
}

/** Ends a message about an unknown name: with the name that was probably meant, and the names that exist. */
export function formatChoices(name: string, names: readonly string[]): string {
  if (names.length === 0) return "There is none.";
  const suggestion = suggestName(name, names);
  return `${suggestion === undefined ? "" : `Did you mean ${suggestion}? `}There are: ${formatNames(names)}.`;
}

/** The most names that a message lists. */
const MAX_LISTED_NAMES = 24;

function formatNames(names: readonly string[]): string {
  const rest = names.length - MAX_LISTED_NAMES;
  return `${names.slice(0, MAX_LISTED_NAMES).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}

/** Words zod's issues for an operator: unknown keys and values with a suggestion, and what a missing key takes. */
export const describeIssue: z.core.$ZodErrorMap = (issue) => {
  if (issue.code === "invalid_type" && issue.input === undefined)
    return `is missing. It takes ${nameType(issue.expected)}.`;
  if (issue.code === "invalid_type")
    return `takes ${nameType(issue.expected)}, but is ${nameType(typeNameOf(issue.input))}.`;
  if (issue.code === "invalid_value" && issue.input === undefined)
    return `is missing. It takes ${formatValues(issue.values)}.`;
  if (issue.code === "invalid_value") {
    const suggestion = suggestName(String(issue.input), issue.values.map(String));
    const didYouMean = suggestion === undefined ? "" : ` Did you mean ${JSON.stringify(suggestion)}?`;
    return `takes ${formatValues(issue.values)}, but is ${JSON.stringify(issue.input)}.${didYouMean}`;
  }
  if (issue.code !== "unrecognized_keys") return undefined;
  return listShapeKeys(issue.inst).join(", ");
};

/** Lists the problems that a parse with `describeIssue` found. */
export function listSchemaProblems({ issues }: z.ZodError): readonly PolicyProblem[] {
  return issues.flatMap((issue): PolicyProblem[] => {
    const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
    if (issue.code === "unrecognized_keys")
      return issue.keys.map((key) => ({ path: [...path, key], message: describeUnknownKey(key, issue.message) }));
    // For an invalid key of a record, zod gives the reason only in the nested issue.
    const message = issue.code === "invalid_key" ? (issue.issues[0]?.message ?? issue.message) : issue.message;
    return [{ path, message }];
  });
}

function describeUnknownKey(key: string, knownKeys: string): string {
  const keys = knownKeys === "" ? [] : knownKeys.split(", ");
  const suggestion = suggestName(key, keys);
  if (suggestion !== undefined) return `there is no such key here. Did you mean ${suggestion}?`;
  return `there is no such key here.${keys.length === 0 ? "" : ` The keys are: ${formatNames(keys)}.`}`;
}

/** The keys that an object schema declares. */
function listShapeKeys(schema: unknown): readonly string[] {
  const shape = typeof schema === "object" && schema !== null && "shape" in schema ? schema.shape : undefined;
  return typeof shape === "object" && shape !== null ? Object.keys(shape) : [];
}

function typeNameOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return value === null ? "null" : typeof value;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

function nameType(type: string): string {
  return TYPE_NAMES[type] ?? type;
}

function formatValues(values: readonly unknown[]): string {
  const texts = values.map((value) => JSON.stringify(value));
  return texts.length === 1 ? String(texts[0]) : `one of ${texts.join(", ")}`;
}
