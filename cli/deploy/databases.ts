// Finds or creates the D1 databases and KV namespaces that a deployment binds. It writes each id to wrangler.jsonc at once, so that
// the run after an interrupted one uses the same store.
import { CliError } from "../kit/cli-error.ts";
import type { DeployedWorker, Named, Platform } from "../cloudflare-api/platform.ts";
import { writeId } from "./settings.ts";
import type { Binding, DeploySettings } from "./settings.ts";

/** What each deployment step needs: the API client, the account, the settings and the deployed state. */
export interface StoreContext {
  readonly platform: Platform;
  readonly account: string;
  readonly settings: DeploySettings;
  /** The Worker as deployed before this run. */
  readonly deployed: DeployedWorker | undefined;
  /** Bindings of the policy's sources, which hold the organisation's data; all others hold Gatehouse's own. */
  readonly sourceBindings: readonly string[];
  readonly say: (line: string) => void;
  /** Whether the command itself fills the stores that it creates, so that it need not say how. */
  readonly fillsStores?: true;
}

/** Ensures that every binding has a store. Throws `CliError` when an id does not exist or a store by that name has other data. */
export async function ensureStores(context: StoreContext): Promise<void> {
  for (const store of context.settings.bindings) {
    if (store.id === undefined) await ensureStore(context, store);
    else await requireStore(context, store, store.id);
  }
}

/** Throws `CliError` when the account lacks a store that the configuration names. */
export async function requireStore(
  { platform, account }: StoreContext,
  { kind, binding }: Binding,
  id: string,
): Promise<void> {
  const store = kind === "d1" ? await platform.database(account, id) : await platform.namespace(account, id);
  if (store === undefined)
    throw new CliError(
      `wrangler.jsonc binds ${binding} to ${id}, which the account does not have. ` +
        `Remove the id from the file to create a new ${kind === "d1" ? "database" : "namespace"}, or use the account that has it.`,
    );
}

/** Where the store of a binding without an id is: bound by the deployed Worker, found by its name, or nowhere yet. */
export type Located =
  | { readonly kind: "bound"; readonly id: string }
  | { readonly kind: "named"; readonly id: string; readonly name: string }
  | { readonly kind: "missing" };

/** Looks for the store of a binding without an id. Throws `CliError` when the store by its name may belong to another deployment. */
export async function locateStore(context: StoreContext, store: Binding): Promise<Located> {
  const type = store.kind === "d1" ? "d1" : "kv_namespace";
  const bound = context.deployed?.bindings.find((binding) => binding.name === store.binding && binding.type === type);
  if (bound?.id !== undefined) return { kind: "bound", id: bound.id };
  const existing = await findStore(context, store);
  if (existing === undefined) return { kind: "missing" };
  await requireOurs(context, store, existing);
  return { kind: "named", ...existing };
}

async function ensureStore(context: StoreContext, store: Binding): Promise<void> {
  const { settings, say } = context;
  const { binding } = store;
  const located = await locateStore(context, store);
  if (located.kind === "missing") {
    const created = await createStore(context, store);
    await writeId(settings, store, created.id);
    const isLeftEmpty = context.sourceBindings.includes(binding) && context.fillsStores !== true;
    const hint = isLeftEmpty ? emptyText(store) : "";
    return say(`${binding}: created ${created.name} (${created.id}); written to wrangler.jsonc.${hint}`);
  }
  await writeId(settings, store, located.id);
  say(
    located.kind === "bound"
      ? `${binding}: using ${located.id}, which the deployed Worker binds; written to wrangler.jsonc.`
      : `${binding}: using ${located.name} of this account (${located.id}); written to wrangler.jsonc.`,
  );
}

async function findStore({ platform, account }: StoreContext, { kind, name }: Binding): Promise<Named | undefined> {
  const stores = kind === "d1" ? await platform.databases(account) : await platform.namespaces(account);
  return stores.find((store) => store.name === name);
}

async function createStore({ platform, account }: StoreContext, { kind, name }: Binding): Promise<Named> {
  const created =
    kind === "d1" ? await platform.makeDatabase(account, name) : await platform.makeNamespace(account, name);
  if (created === undefined)
    throw new CliError(`Another process created ${name} during this run. Run the deployment again.`);
  return created;
}

/**
 * Throws `CliError` when a store found by name may belong to another deployment. A source's store may be adopted by its name.
 * Gatehouse's own stores must not be shared, so one is adopted only while it is empty: then an interrupted run has created it.
 */
async function requireOurs(
  { platform, account, sourceBindings }: StoreContext,
  store: Binding,
  existing: Named,
): Promise<void> {
  if (sourceBindings.includes(store.binding)) return;
  const isEmpty =
    store.kind === "d1"
      ? (
          await platform.query(
            account,
            existing.id,
            "SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\' LIMIT 1",
          )
        ).length === 0
      : (await platform.keys(account, existing.id)).length === 0;
  if (isEmpty) return;
  const key = store.kind === "d1" ? "database_id" : "id";
  throw new CliError(
    `The account has a ${store.kind === "d1" ? "database" : "namespace"} ${existing.name} with content, ` +
      `and no deployed Worker shows that it belongs to this deployment. ` +
      `If it does, set "${key}": "${existing.id}" for ${store.binding} in wrangler.jsonc; otherwise choose another name.`,
  );
}

function emptyText({ kind, binding }: Binding): string {
  return kind === "d1"
    ? ` It is empty: copy your local data with npm run gatehouse -- push ${binding}.`
    : ` It is empty: add documents with npx wrangler kv key put --remote --binding ${binding} <key> --path <file>.`;
}
