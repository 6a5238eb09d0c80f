// Chooses a deployment's origin: the one URL that clients connect to and that every access token is bound to. Pure.
import { CliError } from "../kit/cli-error.ts";
import type { DeploySettings } from "./settings.ts";

/**
 * Chooses the origin: GATEHOUSE_URL if the configuration serves it, else the first custom domain or whole-host route, else the
 * Worker's name below `subdomain` (`acme` of acme.workers.dev). Throws `CliError` when the configuration serves no whole
 * host, or not the one that GATEHOUSE_URL names.
 */
export function chooseOrigin(settings: DeploySettings, subdomain: string | undefined): string {
  const { variables, worker, isOnWorkersDev, routes } = settings;
  const chosen = variables["GATEHOUSE_URL"] ?? "";
  const workersDev = isOnWorkersDev && subdomain !== undefined ? `${worker}.${subdomain}.workers.dev` : undefined;
  const served = [...routes.map(servedHost), workersDev].filter((host) => host !== undefined);
  if (chosen === "") return `https://${served[0] ?? noAddress(settings, subdomain)}`;
  if (!URL.canParse(chosen) || new URL(chosen).protocol !== "https:")
    throw new CliError(
      `GATEHOUSE_URL is ${JSON.stringify(chosen)}. It takes an https origin, such as https://gatehouse.example.com.`,
    );
  const { host, origin } = new URL(chosen);
  if (served.includes(host) || routes.some(({ pattern }) => covers(pattern, host))) return origin;
  throw new CliError(
    `GATEHOUSE_URL is ${origin}, but wrangler.jsonc serves ${served.length === 0 ? "no address" : served.join(", ")}. ` +
      `Add a route for it, or set GATEHOUSE_URL to a served origin, or to "" to have it chosen. ` +
      `Connected users must sign in again when the origin changes.`,
  );
}

/** The host of a custom domain, or of a route that matches a whole host; undefined for any other pattern. */
function servedHost({ pattern }: DeploySettings["routes"][number]): string | undefined {
  const [host = "", ...rest] = pattern.replace(/^https?:\/\//, "").split("/");
  const isWhole = rest.length === 0 || (rest.length === 1 && rest[0] === "*");
  return host === "" || host.includes("*") || !isWhole ? undefined : host;
}

/** Whether a wildcard pattern such as `*.example.com/*` matches a whole host. */
function covers(pattern: string, host: string): boolean {
  const [hostPattern = "", ...rest] = pattern.replace(/^https?:\/\//, "").split("/");
  if (rest.join("/") !== "*" || !hostPattern.startsWith("*")) return false;
  const suffix = hostPattern.slice(1);
  return host.endsWith(suffix) && host.length > suffix.length;
}

function noAddress({ worker, isOnWorkersDev, routes }: DeploySettings, subdomain: string | undefined): never {
  if (isOnWorkersDev && subdomain === undefined)
    throw new CliError(
      `The account has no workers.dev subdomain, so ${worker} would have no address. ` +
        `Open Workers & Pages in the dashboard once to choose a subdomain, or add a domain to wrangler.jsonc: ` +
        `"routes": [{ "pattern": "gatehouse.example.com", "custom_domain": true }].`,
    );
  const patterns = routes.map(({ pattern }) => pattern).join(", ");
  throw new CliError(
    routes.length === 0
      ? `wrangler.jsonc has "workers_dev": false and no routes, so ${worker} would have no address.`
      : `None of the routes ${patterns} matches a whole host, so the URL cannot be chosen. Set GATEHOUSE_URL in wrangler.jsonc.`,
  );
}
