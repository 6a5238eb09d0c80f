// Refuses to push into a database that wrangler.jsonc binds for something else too: a push replaces whatever a database has.
import type { Binding } from "../deploy/settings.ts";
import { CliError } from "../kit/cli-error.ts";

/** The databases of one environment. */
interface Bound {
  readonly bindings: readonly Pick<Binding, "kind" | "binding" | "id" | "name">[];
}

/**
 * Throws `CliError` when another binding, in any environment, has the database too. A database or binding without an id is known by its
 * name, because a deployment then looks for that.
 */
export function requireUnshared(
  environments: readonly Bound[],
  own: string,
  database: Pick<Binding, "id" | "name">,
): void {
  const isSame = ({ id, name }: Pick<Binding, "id" | "name">): boolean =>
    id === undefined || database.id === undefined ? name === database.name : id === database.id;
  const sharing = environments
    .flatMap(({ bindings }) => bindings)
    .find((bound) => bound.kind === "d1" && bound.binding !== own && isSame(bound));
  if (sharing === undefined) return;
  throw new CliError(
    `wrangler.jsonc binds both ${own} and ${sharing.binding} to the database ${database.name}. ` +
      `A push would replace the data of ${sharing.binding}. Nothing was changed.`,
    { hint: `Give ${own} a database of its own: change its database_id and database_name in wrangler.jsonc.` },
  );
}
