// Chooses the Cloudflare account to deploy to, and opens a client for its API.
import * as z from "zod";
import { CliError } from "../kit/cli-error.ts";
import { runTool } from "../project/tools.ts";
import { createPlatform } from "./platform.ts";
import type { Named, Platform } from "./platform.ts";
import { createRemoteDatabase } from "./remote-database.ts";
import type { DeploySettings } from "../deploy/settings.ts";

const API = "https://api.cloudflare.com/client/v4";

/** Connects to the account of a deployment. Throws `CliError` when the API token is missing or the account is ambiguous. */
export async function connect(settings: Pick<DeploySettings, "accountId">): Promise<Connection> {
  const token = environmentToken();
  if (token === undefined)
    throw new CliError(
      "CLOUDFLARE_API_TOKEN is not set. It takes an API token with the permissions listed in docs/deploying.md.",
    );
  return connectWith(token, settings);
}

/** A client for the API, and the account to use. */
interface Connection {
  readonly platform: Platform;
  readonly account: Named;
}

/** Whether an API token is set, which `connect` needs. */
export function hasApiToken(): boolean {
  return environmentToken() !== undefined;
}

function environmentToken(): string | undefined {
  const token = process.env["CLOUDFLARE_API_TOKEN"] ?? "";
  return token === "" ? undefined : token;
}

async function connectWith(token: string, { accountId }: Pick<DeploySettings, "accountId">): Promise<Connection> {
  const platform = createPlatform({ baseUrl: process.env["CLOUDFLARE_API_BASE_URL"] ?? API, token });
  const wanted = process.env["CLOUDFLARE_ACCOUNT_ID"] ?? accountId;
  const account = wanted === undefined ? await onlyAccount(platform) : { id: wanted, name: wanted };
  // wrangler runs as a child process and must use the same account.
  process.env["CLOUDFLARE_ACCOUNT_ID"] = account.id;
  return { platform, account };
}

/** Opens a D1 database of the account. `accountId` is that of the configuration. */
export async function openAccountDatabase(accountId: string | undefined, databaseId: string): Promise<D1Database> {
  const { platform, account } = await connectWith(environmentToken() ?? (await loginToken()), { accountId });
  return createRemoteDatabase(async (batch) => platform.runBatch(account.id, databaseId, batch));
}

const loginSchema = z.object({ token: z.string().min(1) });

/** The token of `wrangler login`, which wrangler refreshes. Throws `CliError` when wrangler is not logged in. */
async function loginToken(): Promise<string> {
  try {
    const output = await runTool("wrangler", ["auth", "token", "--json"]);
    return loginSchema.parse(JSON.parse(output.slice(output.indexOf("{")))).token;
  } catch (cause) {
    throw new CliError(
      "There is no access to the Cloudflare account. Set CLOUDFLARE_API_TOKEN to an API token with the permission D1: Edit, " +
        "or run npx wrangler login.",
      { cause },
    );
  }
}

async function onlyAccount(platform: Platform): Promise<Named> {
  const accounts = await platform.accounts();
  const [account, ...others] = accounts;
  if (account !== undefined && others.length === 0) return account;
  const choices = accounts.map(({ id, name }) => `${id} (${name})`).join(", ");
  throw new CliError(
    account === undefined
      ? "The API token has access to no account. Set CLOUDFLARE_ACCOUNT_ID to the account id in the dashboard's URL."
      : `The API token has access to ${accounts.length} accounts. Set CLOUDFLARE_ACCOUNT_ID to one of: ${choices}.`,
  );
}
