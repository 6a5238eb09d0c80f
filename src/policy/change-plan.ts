// Decides whether one change is among those that a subject may ask for, as far as its columns and values tell: parses the literals by the
// declared types, checks them against the value schemas, and leaves what depends on rows to the source.
import { AppError } from "../errors.ts";
import { shortenText } from "../lib/text-cut.ts";
import { listConditionColumns } from "./conditions.ts";
import { APPROVALS } from "./change-model.ts";
import type { AllowedChange, ChangeGrant, ChangeOperation } from "./change-model.ts";
import { parseChangeLiteral, findValueProblem, holdsMaskingToken, isMaskedText } from "./change-values.ts";
import { listClearColumns } from "./evaluate-change.ts";
import { getDisclosure, listVisibleColumns } from "./guard-view.ts";
import type { AllowedDecision, Column, TableDataset } from "./model.ts";
import type { SqlValue } from "../sql/parameters.ts";

/** A change as a caller asks for it, before anything is checked. */
export interface ChangeRequest {
  readonly operation: ChangeOperation;
  /** A literal, or a list of literals of which one must match, by column. */
  readonly where: Readonly<Record<string, unknown>>;
  /** A literal by column. */
  readonly values: Readonly<Record<string, unknown>>;
}

/** A column of `where` with the values of which a row has one. */
export interface WhereTerm {
  readonly column: Column;
  readonly values: readonly SqlValue[];
}

/** A column with the value that it gets. */
export interface SetValue {
  readonly column: Column;
  readonly value: SqlValue;
}

/** A change that the policy allows as far as its columns and values tell. */
export interface ChangePlan {
  readonly dataset: TableDataset;
  readonly operation: ChangeOperation;
  readonly read: AllowedDecision;
  readonly where: readonly WhereTerm[];
  readonly values: readonly SetValue[];
  /** The grants that allow it, with the mildest approval first. The first one whose rows hold all rows of the change decides. */
  readonly grants: readonly ChangeGrant[];
}

/** The most literals in `where`: a statement takes a limited number of values. */
export const MAX_WHERE_LITERALS = 50;
/** The most columns that a change sets: D1 takes at most 100 parameters, and the rules of the policy need some. */
const MAX_SET_COLUMNS = 50;
/** The most characters of all literals of a change. */
const MAX_LITERAL_CHARACTERS = 200_000;

/** Plans a change. Errors: `invalid_input` and `not_allowed`, with what would be right. */
export function planChange(decision: AllowedChange, request: ChangeRequest): ChangePlan {
  const { dataset, read } = decision;
  const { operation } = request;
  requireShape(request, dataset);
  requireBounded(request);
  const grants = decision.grants.filter(({ operations }) => operations.includes(operation));
  if (grants.length === 0) throw createOperationError(decision, operation);
  const where = Object.entries(request.where).map(([name, literals]) => parseWhereTerm(decision, name, literals));
  const settable = listSettableColumns(decision, grants);
  const values = Object.entries(request.values).map(([name, literal]) =>
    parseSetValue(settable, dataset, name, literal),
  );
  const fitting = findFittingGrants(grants, values, dataset);
  const grantsOfOutcome = operation === "update" ? findVisibleOutcomes(decision, values, fitting) : fitting;
  return { dataset, operation, read, where, values, grants: grantsOfOutcome };
}

/** Plans the undo of a change: the same columns and rows, without the values' schemas. Errors: `not_allowed`. */
export function planUndo(
  decision: AllowedChange,
  { operation, columns }: { readonly operation: ChangeOperation; readonly columns: readonly string[] },
): Pick<ChangePlan, "dataset" | "operation" | "read" | "grants"> {
  const settable = new Set(listSettableColumns(decision, decision.grants).map(({ name }) => name));
  const grants = decision.grants.filter(
    (grant) =>
      grant.operations.includes(operation) &&
      columns.every((name) => Object.hasOwn(grant.columns, name) && settable.has(name)),
  );
  if (grants.length === 0)
    throw new AppError("not_allowed", "You may not make this change today, so you may not undo it either.");
  return { dataset: decision.dataset, operation, read: decision.read, grants: sortByApproval(grants) };
}

function requireShape({ operation, where, values }: ChangeRequest, { key }: TableDataset): void {
  const hasWhere = Object.keys(where).length > 0;
  const article = operation === "delete" ? "A" : "An";
  const hasValues = Object.keys(values).length > 0;
  if (operation === "insert" && hasWhere)
    throw new AppError("invalid_input", "An insert has no where. Give the new row as values.");
  if (operation !== "insert" && !hasWhere)
    throw new AppError(
      "invalid_input",
      `${article} ${operation} needs where: the rows, by columns that you see, such as {"${key[0] ?? "id"}": 42}.`,
    );
  if (operation === "delete" && hasValues) throw new AppError("invalid_input", "A delete has no values.");
  if (operation !== "delete" && !hasValues)
    throw new AppError("invalid_input", `An ${operation} needs values: each column to set, with its value.`);
}

function requireBounded({ where, values }: ChangeRequest): void {
  const literals = Object.values(where).reduce<number>(
    (count, literal) => count + (Array.isArray(literal) ? literal.length : 1),
    0,
  );
  if (literals > MAX_WHERE_LITERALS)
    throw new AppError(
      "invalid_input",
      `where has ${literals} literals, and at most ${MAX_WHERE_LITERALS} are possible.`,
    );
  if (Object.keys(values).length > MAX_SET_COLUMNS)
    throw new AppError("invalid_input", `A change sets at most ${MAX_SET_COLUMNS} columns.`);
  if (JSON.stringify([where, values]).length > MAX_LITERAL_CHARACTERS)
    throw new AppError("invalid_input", `A change has at most ${MAX_LITERAL_CHARACTERS} characters.`);
}

function createOperationError({ dataset, grants }: AllowedChange, operation: ChangeOperation): AppError {
  const allowed = [...new Set(grants.flatMap(({ operations }) => operations))];
  return new AppError(
    "not_allowed",
    `You may not ${operation} rows of ${dataset.id}. You may ${allowed.join(" and ")}.`,
  );
}

function parseWhereTerm({ dataset, read }: AllowedChange, name: string, literals: unknown): WhereTerm {
  const readable = listVisibleColumns(read, dataset);
  const comparable = readable.filter(({ disclosures }) => disclosures.some(({ kind }) => kind === "clear"));
  const names = comparable.map((column) => column.name).join(", ");
  const advice = names === "" ? `You see no column of ${dataset.id} in clear.` : `Use columns in clear: ${names}.`;
  const column = dataset.columns.find((candidate) => candidate.name === name);
  if (column === undefined || !readable.some((candidate) => candidate.name === name))
    throw new AppError("invalid_input", `where names ${quoteName(name)}, and you see no such column. ${advice}`);
  if (!comparable.some((candidate) => candidate.name === name))
    throw new AppError("not_allowed", `where names ${name}, which is masked for you. ${advice}`);
  const list: readonly unknown[] = Array.isArray(literals) ? literals : [literals];
  if (list.length === 0)
    throw new AppError("invalid_input", `where.${name} is an empty list. Give at least one value.`);
  refuseMaskingTokens(list, `where.${name}`);
  const values = list.map((literal) => parseChangeLiteral(column, literal, `where.${name}`));
  return { column, values };
}

function refuseMaskingTokens(literals: readonly unknown[], place: string): void {
  if (literals.some(holdsMaskingToken))
    throw new AppError(
      "not_allowed",
      `${place} has a masking token, which stands for a value that you do not see. Write real values only.`,
    );
}

/** Lists the columns that some grant lets the subject set and whose values it sees, or may reveal. */
export function listSettableColumns(
  { dataset, read }: AllowedChange,
  grants: readonly ChangeGrant[],
): readonly Column[] {
  return dataset.columns.filter(
    (column) =>
      grants.some(({ columns }) => Object.hasOwn(columns, column.name)) &&
      read.grants.some((grant) => getDisclosure(grant, column).kind === "clear" || grant.reveal.includes(column.name)),
  );
}

function parseSetValue(settable: readonly Column[], { id }: TableDataset, name: string, literal: unknown): SetValue {
  const column = settable.find((candidate) => candidate.name === name);
  if (column === undefined) {
    const names = settable.map((candidate) => candidate.name).join(", ");
    const advice = names === "" ? "You see none of the columns that rules let you set." : `You may set: ${names}.`;
    throw new AppError("not_allowed", `You may not set ${quoteName(name)} in ${id}. ${advice}`);
  }
  refuseMaskingTokens([literal], `values.${name}`);
  if (isMaskedText(literal))
    throw new AppError("not_allowed", `values.${name} has the form of masked text. Write real values only.`);
  return { column, value: parseChangeLiteral(column, literal, `values.${name}`) };
}

/** The most characters of a name that the caller made up, in a message. */
const MAX_SHOWN_NAME_CHARACTERS = 100;

function quoteName(name: string): string {
  return JSON.stringify(shortenText(name, MAX_SHOWN_NAME_CHARACTERS));
}

function findFittingGrants(
  grants: readonly ChangeGrant[],
  values: readonly SetValue[],
  { id }: TableDataset,
): readonly ChangeGrant[] {
  const covering = grants.filter(({ columns }) => values.every(({ column }) => Object.hasOwn(columns, column.name)));
  const names = values.map(({ column }) => column.name).join(", ");
  if (covering.length === 0)
    throw new AppError(
      "not_allowed",
      `No rule lets you set ${names} of ${id} in one change. Set fewer columns at once.`,
    );
  const problems: string[] = [];
  const fitting = covering.filter(({ columns }) => {
    const problem = values
      .map(({ column, value }) => {
        const schema = columns[column.name];
        const found = schema === undefined ? undefined : findValueProblem(column, value, schema);
        return found === undefined ? undefined : `values.${column.name} ${found}`;
      })
      .find((found) => found !== undefined);
    if (problem !== undefined) problems.push(problem);
    return problem === undefined;
  });
  if (fitting.length === 0) throw new AppError("invalid_input", problems[0] ?? "The values are not allowed.");
  return sortByApproval(fitting);
}

function sortByApproval(grants: readonly ChangeGrant[]): readonly ChangeGrant[] {
  return grants.toSorted((left, right) => APPROVALS.indexOf(left.approval) - APPROVALS.indexOf(right.approval));
}

/**
 * Whether a changed row leaves the subject's sight may depend on columns that the subject does not see, and the refusal would tell their
 * values: of any read rule, because a row that leaves one rule's reach may stay in another's. Only grants that let rows leave allow such a
 * change, whatever the rows hold.
 */
function findVisibleOutcomes(
  { dataset, read }: AllowedChange,
  values: readonly SetValue[],
  grants: readonly ChangeGrant[],
): readonly ChangeGrant[] {
  const rowRules = read.grants.flatMap(({ rows }) => rows ?? []);
  const staysVisible = rowRules.length < read.grants.length;
  const ruleColumns = rowRules.flatMap(listConditionColumns);
  const clearColumns = listClearColumns(read, dataset);
  const isDecidedByChange = values.some(({ column }) => ruleColumns.includes(column.name));
  if (staysVisible || !isDecidedByChange || ruleColumns.every((name) => clearColumns.has(name))) return grants;
  const leaving = grants.filter(({ mayLeaveSight }) => mayLeaveSight);
  if (leaving.length > 0) return leaving;
  throw new AppError(
    "not_allowed",
    `Rows of ${dataset.id} are shown to you by rules over these columns and others that you do not see, so you may not set them.`,
  );
}
