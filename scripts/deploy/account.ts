// Chooses the Cloudflare account to deploy to, and opens a client for its API.
import { DeployProblem } from "./problem.ts";
import { createPlatform } from "./platform.ts";
import type { Named, Platform } from "./platform.ts";
import type { DeploySettings } from "./settings.ts";

const API = "https://api.cloudflare.com/client/v4";

/** Connects to the account. Throws `DeployProblem` when the API token is missing or the account is ambiguous. */
export async function connect({ accountId }: DeploySettings): Promise<{ platform: Platform; account: Named }> {
  const token = process.env["CLOUDFLARE_API_TOKEN"] ?? "";
  if (token === "")
    throw new DeployProblem(
      "CLOUDFLARE_API_TOKEN is not set. It takes an API token with the permissions listed in docs/deploying.md.",
    );
  const platform = createPlatform({ baseUrl: process.env["CLOUDFLARE_API_BASE_URL"] ?? API, token });
  const wanted = process.env["CLOUDFLARE_ACCOUNT_ID"] ?? accountId;
  const account = wanted === undefined ? await onlyAccount(platform) : { id: wanted, name: wanted };
  // wrangler runs as a child process and must use the same account.
  process.env["CLOUDFLARE_ACCOUNT_ID"] = account.id;
  return { platform, account };
}

async function onlyAccount(platform: Platform): Promise<Named> {
  const accounts = await platform.accounts();
  const [account, ...others] = accounts;
  if (account !== undefined && others.length === 0) return account;
  const choices = accounts.map(({ id, name }) => `${id} (${name})`).join(", ");
  throw new DeployProblem(
    account === undefined
      ? "The API token has access to no account. Set CLOUDFLARE_ACCOUNT_ID to the account id in the dashboard's URL."
      : `The API token has access to ${accounts.length} accounts. Set CLOUDFLARE_ACCOUNT_ID to one of: ${choices}.`,
  );
}
