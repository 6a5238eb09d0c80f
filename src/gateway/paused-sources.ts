// What operations do about sources that an operator has paused: they do not see them, and a request that names one gets the error of the
// pause, if its user may read the source at all.
import { AppError } from "../errors.ts";
import { DeniedError } from "../audit/audit.ts";
import type { AuditedCall } from "../audit/audit.ts";
import type { Source } from "../read/source.ts";
import { findTarget } from "./visible-datasets.ts";
import type { VisibleDatasets } from "./visible-datasets.ts";

type Paused = AuditedCall["pausedSources"];

/** The sources that are not paused. */
export function withoutPaused(sources: readonly Source[], paused: Paused): readonly Source[] {
  return paused.size === 0 ? sources : sources.filter(({ declaration }) => !paused.has(declaration.name));
}

/** Says which sources that the user may read are paused; undefined for none. */
export function describePaused({ sources }: VisibleDatasets, paused: Paused): string | undefined {
  const names = sources.map(({ source }) => source.declaration.name).filter((name) => paused.has(name));
  return names.length === 0
    ? undefined
    : `The operator of this server has paused ${names.join(", ")}, so this answer has nothing of ${names.length === 1 ? "it" : "them"}.`;
}

/**
 * Replaces the error of a name that was not found by that of the pause. `all` are the datasets that the user may read, paused ones
 * included: to a user who may not read a source, it does not exist.
 */
export function explainPause(thrown: unknown, all: VisibleDatasets, paused: Paused, name: string | undefined): unknown {
  if (!(thrown instanceof AppError) || thrown.code !== "not_found" || name === undefined) return thrown;
  const source =
    findTarget(all, name)?.visible.source ??
    all.sources.find((visible) => visible.source.declaration.name === name)?.source;
  const error = source && paused.get(source.declaration.name);
  return error === undefined ? thrown : toDenial(error, source?.declaration.name);
}

/** The error of a pause, with what its record names. */
export function toDenial(error: AppError, source: string | undefined): DeniedError {
  return new DeniedError(error, [`${source}: paused`], []);
}
