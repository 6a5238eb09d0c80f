// Which account a deployment goes to, and the way to its API.
import { DeployProblem } from "./problem.ts";
import { createPlatform } from "./platform.ts";
import type { Named, Platform } from "./platform.ts";
import type { DeploySettings } from "./settings.ts";

const API = "https://api.cloudflare.com/client/v4";

/** Throws `DeployProblem` without a token, or when it is not plain which account is meant. */
export async function connect({ accountId }: DeploySettings): Promise<{ platform: Platform; account: Named }> {
  const token = process.env["CLOUDFLARE_API_TOKEN"] ?? "";
  if (token === "")
    throw new DeployProblem(
      "CLOUDFLARE_API_TOKEN is not set. It takes an API token of the account with the permissions that docs/deploying.md lists.",
    );
  const platform = createPlatform({ baseUrl: process.env["CLOUDFLARE_API_BASE_URL"] ?? API, token });
  const wanted = process.env["CLOUDFLARE_ACCOUNT_ID"] ?? accountId;
  const account = wanted === undefined ? await onlyAccount(platform) : { id: wanted, name: wanted };
  // wrangler, which runs below this, takes the same.
  process.env["CLOUDFLARE_ACCOUNT_ID"] = account.id;
  return { platform, account };
}

async function onlyAccount(platform: Platform): Promise<Named> {
  const accounts = await platform.accounts();
  const [account, ...others] = accounts;
  if (account !== undefined && others.length === 0) return account;
  throw new DeployProblem(
    account === undefined
      ? "The token names no account. Set CLOUDFLARE_ACCOUNT_ID to the account's id, from the dashboard's address."
      : `The token reaches ${accounts.length} accounts. Set CLOUDFLARE_ACCOUNT_ID to one of: ${accounts.map(({ id, name }) => `${id} (${name})`).join(", ")}.`,
  );
}
