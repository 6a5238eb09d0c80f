// The words for what becomes of a change: why a proposal is refused, and why a change ended without being applied. They name no value, no
// constraint, and nothing about rows that the requester does not see.
import { AppError } from "../errors.ts";
import type { Preview } from "../read/change-target.ts";
import type { EndReason } from "./stored-change.ts";

/** Why an undo cannot be undone. */
export const IS_UNDO = "It is an undo itself. Propose the change again instead.";

/** Builds the error of a proposal that the source refuses. */
export function explainRefusal(
  preview: Exclude<Preview, { readonly kind: "previewed" }>,
  dataset: string,
  isUndo: boolean,
): AppError {
  switch (preview.kind) {
    case "used id":
      return new AppError("invalid_input", "This key was used for a change long ago. Use a new key for each change.");
    case "no rows":
      return new AppError(
        "not_found",
        `No row of ${dataset} that you see in clear has these values. Check where with query: it compares exactly.`,
        { isMissing: true },
      );
    case "too many rows":
      return new AppError(
        "limit_reached",
        `A change of ${dataset} may have at most ${preview.maxRows} row(s). Narrow where, or propose several changes.`,
      );
    case "missing values":
      return explainMissingValues(preview.columns, dataset);
    case "too large":
      return new AppError(
        "limit_reached",
        `These rows of ${dataset} are too large for one change. Change fewer at once.`,
      );
    case "rows not allowed":
      return new AppError("not_allowed", `Your rules do not allow this change of some of these rows of ${dataset}.`);
    case "masked column":
      return new AppError("not_allowed", "You see a column that is set only masked on some of these rows.");
    case "mask echo":
      return new AppError(
        "not_allowed",
        "A new value is what your mask shows of the old one. Write real values: masked text must not replace them.",
      );
    case "leaves sight":
      return new AppError(
        "not_allowed",
        "The change would move a row out of your sight, which your rules do not allow.",
      );
    case "drifted":
      return new AppError(
        "conflict",
        isUndo
          ? "The rows are not as the change left them, or nothing of it is kept any more, so it cannot be undone. " +
              "Propose a change that sets them as they should be."
          : "The rows have changed meanwhile. Propose the change again.",
      );
    case "computed column":
      return new AppError("not_allowed", `${preview.column} is computed by the database and cannot be set.`);
    case "unsupported":
      return new AppError(
        "not_allowed",
        `Gatehouse does not change ${dataset} in this way: ${preview.detail}. Ask the operator of this server.`,
      );
  }
}

function explainMissingValues(columns: readonly string[], dataset: string): AppError {
  return new AppError(
    "invalid_input",
    columns.length === 0
      ? `A new row of ${dataset} needs a value in a column that you do not see. Ask the operator of this server.`
      : `A new row of ${dataset} also needs values for: ${columns.join(", ")}.`,
  );
}

const EXPLANATIONS: Readonly<Record<EndReason, string>> = {
  "denied by a person": "It was denied. Nothing has changed.",
  "not decided in time": "It expired before anyone decided. Nothing has changed.",
  "not applied in time": "It was approved, but could not be applied in time. Nothing has changed.",
  "requester lost the right": "The user who asked for it may not make this change any more. Nothing has changed.",
  "approver lost the right": "The user who approved it may not approve it any more. Nothing has changed.",
  paused: "An operator has paused the user or the source. Nothing has changed.",
  "rows have changed": "The rows were no longer those of the preview. Nothing has changed.",
  "rows not allowed": "The rules do not allow the change of these rows any more. Nothing has changed.",
  "leaves sight": "A row would have left the sight of the user who asked for it. Nothing has changed.",
  unsupported: "The table or its triggers have changed since. Nothing has changed.",
  unique: "The database refused it: another row has the same value where values must be unique. Nothing has changed.",
  "foreign key":
    "The database refused it: rows of another table refer to a row, or a row that it refers to is missing. Nothing has changed.",
  "not null": "The database refused it: a column that needs a value has none. Nothing has changed.",
  check: "The database refused it: a rule of the table does not allow a value. Nothing has changed.",
  type: "The database refused it: a value has the wrong type for its column. Nothing has changed.",
  other: "The database refused it. Nothing has changed.",
};

/** Says why a change ended without being applied. */
export function explainEnd(endReason: EndReason): string {
  return EXPLANATIONS[endReason];
}
