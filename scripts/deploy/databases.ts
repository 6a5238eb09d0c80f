// The databases and namespaces that a deployment binds: found or made, each once. One that is new to the configuration is
// written there at once, so that a run which is cut off goes on with it.
import { DeployProblem } from "./problem.ts";
import type { DeployedWorker, Named, Platform } from "./platform.ts";
import { writeId } from "./settings.ts";
import type { Binding, DeploySettings } from "./settings.ts";

export interface StoreContext {
  readonly platform: Platform;
  readonly account: string;
  readonly settings: DeploySettings;
  /** The Worker as it is deployed now. */
  readonly deployed: DeployedWorker | undefined;
  /** Bindings that sources name: they hold the organisation's data, the others Gatehouse's own. */
  readonly sourceBindings: readonly string[];
  readonly say: (line: string) => void;
}

/** Sees to every binding. Throws `DeployProblem` for an id that names nothing, or a name that somebody else's data has. */
export async function ensureStores(context: StoreContext): Promise<void> {
  for (const store of context.settings.bindings) {
    if (store.id === undefined) await ensureStore(context, store);
    else await requireStore(context, store, store.id);
  }
}

async function requireStore(
  { platform, account }: StoreContext,
  { kind, binding }: Binding,
  id: string,
): Promise<void> {
  const found = kind === "d1" ? await platform.database(account, id) : await platform.namespace(account, id);
  if (found === undefined)
    throw new DeployProblem(
      `wrangler.jsonc binds ${binding} to ${id}, which the account does not have. Take its id out of the file to have ${kind === "d1" ? "a database" : "a namespace"} made, or use the account it is in.`,
    );
}

async function ensureStore(context: StoreContext, store: Binding): Promise<void> {
  const { settings, deployed, say } = context;
  const { binding, kind } = store;
  const bound = deployed?.bindings.find(
    ({ name, type }) => name === binding && type === (kind === "d1" ? "d1" : "kv_namespace"),
  );
  if (bound?.id !== undefined) {
    await writeId(settings, store, bound.id);
    return say(`${binding}: the deployed Worker's ${bound.id}, now in wrangler.jsonc.`);
  }
  const found = await findStore(context, store);
  if (found !== undefined) {
    await requireOurs(context, store, found);
    await writeId(settings, store, found.id);
    return say(`${binding}: ${found.name} of this account (${found.id}), now in wrangler.jsonc.`);
  }
  const made = await makeStore(context, store);
  await writeId(settings, store, made.id);
  say(
    `${binding}: made ${made.name} (${made.id}), now in wrangler.jsonc.${context.sourceBindings.includes(binding) ? emptyText(store) : ""}`,
  );
}

async function findStore({ platform, account }: StoreContext, { kind, name }: Binding): Promise<Named | undefined> {
  const all = kind === "d1" ? await platform.databases(account) : await platform.namespaces(account);
  return all.find((one) => one.name === name);
}

async function makeStore({ platform, account }: StoreContext, { kind, name }: Binding): Promise<Named> {
  const made = kind === "d1" ? await platform.makeDatabase(account, name) : await platform.makeNamespace(account, name);
  if (made === undefined) throw new DeployProblem(`${name} has been made by somebody else meanwhile. Run it again.`);
  return made;
}

/**
 * A source's data is meant by its name. What Gatehouse keeps for itself must not be shared with another deployment, so it is
 * taken by name only as long as it is empty: made by a run that was cut off before it could write the id down.
 */
async function requireOurs(
  { platform, account, sourceBindings }: StoreContext,
  store: Binding,
  found: Named,
): Promise<void> {
  if (sourceBindings.includes(store.binding)) return;
  const isEmpty =
    store.kind === "d1"
      ? (
          await platform.query(
            account,
            found.id,
            "SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\' LIMIT 1",
          )
        ).length === 0
      : (await platform.keys(account, found.id)).length === 0;
  if (isEmpty) return;
  const key = store.kind === "d1" ? "database_id" : "id";
  throw new DeployProblem(
    `The account has a ${store.kind === "d1" ? "database" : "namespace"} ${found.name} with content, and no deployed Worker shows that it is this deployment's. ` +
      `If it is, set "${key}": "${found.id}" for ${store.binding} in wrangler.jsonc; if not, give this one another name.`,
  );
}

function emptyText({ kind, name, binding }: Binding): string {
  return kind === "d1"
    ? ` It is empty: load your data with npx wrangler d1 execute ${name} --remote --file <a dump>.`
    : ` It is empty: put documents in with npx wrangler kv key put --remote --binding ${binding} <key> --path <file>.`;
}
