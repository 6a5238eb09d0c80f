// Finds the table that a change concerns, and what a subject may do with it today.
import { evaluateChange } from "../policy/evaluate-change.ts";
import type { ChangeDecision } from "../policy/change-model.ts";
import { evaluate } from "../policy/evaluate.ts";
import { withoutSavedOnlyRoles } from "../policy/saved-query.ts";
import type { Policy, Subject, TableDataset } from "../policy/model.ts";
import type { ChangeTarget } from "../read/change-target.ts";
import type { Source, VisibleTable } from "../read/source.ts";

/** A table that can be changed, with the source that does it. */
export interface TargetTable {
  readonly dataset: TableDataset;
  readonly target: ChangeTarget;
}

/** The tables of the sources that can be changed. Which of them a subject may change is the policy's decision. */
export interface ChangeTables {
  find(dataset: string): TargetTable | undefined;
  /** Lists the ids of the tables of which the subject may change something. */
  listChangeable(subject: Subject): readonly string[];
  /** Opens the changes of a source; undefined for one that the policy does not declare any more. */
  openTarget(source: string): ChangeTarget | undefined;
  /** What the subject reads of the table today; undefined when nothing. */
  read(subject: Subject, dataset: TableDataset): VisibleTable | undefined;
  /** What the subject may change of the table today. */
  decide(subject: Subject, dataset: TableDataset): ChangeDecision;
}

/** Creates the tables of a policy and its sources. */
export function createChangeTables(policy: Policy, sources: readonly Source[]): ChangeTables {
  const tables = new Map(
    sources.flatMap((source): readonly (readonly [string, TargetTable])[] => {
      if (source.kind !== "d1" || source.changes === undefined) return [];
      const { changes: target } = source;
      return source.datasets.map((dataset) => [dataset.id, { dataset, target }] as const);
    }),
  );
  const targets = new Map([...tables.values()].map(({ dataset, target }) => [dataset.source, target]));
  const decide = (subject: Subject, dataset: TableDataset): ChangeDecision =>
    evaluateChange(policy, withoutSavedOnlyRoles(policy, subject), dataset);
  return {
    listChangeable: (subject) =>
      [...tables.values()].filter(({ dataset }) => decide(subject, dataset).allowed).map(({ dataset }) => dataset.id),
    find: (dataset) => tables.get(dataset),
    openTarget: (source) => targets.get(source),
    read(subject, dataset) {
      const decision = evaluate(policy, withoutSavedOnlyRoles(policy, subject), dataset, "read");
      return decision.allowed ? { dataset, decision } : undefined;
    },
    decide,
  };
}
