// One statement of a change with its values.
import { createParameters } from "../sql/parameters.ts";
import type { Parameters } from "../sql/parameters.ts";

/** A statement with the values of its parameters. */
export interface ChangeStatement {
  readonly sql: string;
  readonly parameters: Parameters;
}

/** Runs statements as one transaction. */
export type RunStatements = (
  statements: readonly ChangeStatement[],
) => Promise<readonly D1Result<Record<string, unknown>>[]>;

/** Builds one statement with parameters of its own. */
export function buildStatement(build: (parameters: Parameters) => string): ChangeStatement {
  const parameters = createParameters();
  return { sql: build(parameters), parameters };
}
