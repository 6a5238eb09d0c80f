// Where people will reach a deployment: the one URL that clients connect to and that every token is bound to. Pure.
import { DeployProblem } from "./problem.ts";
import type { DeploySettings } from "./settings.ts";

/**
 * The origin of a deployment: what the variable says if the configuration serves it, else its custom domain or route, else its
 * name below `subdomain` (`acme` of acme.workers.dev). Throws `DeployProblem` when the configuration does not tell, or serves
 * another.
 */
export function chooseOrigin(settings: DeploySettings, subdomain: string | undefined): string {
  const { variables, worker, isOnWorkersDev, routes } = settings;
  const chosen = variables["GATEHOUSE_URL"] ?? "";
  const workersDev = isOnWorkersDev && subdomain !== undefined ? `${worker}.${subdomain}.workers.dev` : undefined;
  const served = [...routes.map(servedHost), workersDev].filter((host) => host !== undefined);
  if (chosen === "") return `https://${served[0] ?? noAddress(settings, subdomain)}`;
  if (!URL.canParse(chosen) || new URL(chosen).protocol !== "https:")
    throw new DeployProblem(
      `GATEHOUSE_URL is ${JSON.stringify(chosen)}. It takes an https origin, such as https://gatehouse.example.com.`,
    );
  const { host, origin } = new URL(chosen);
  if (served.includes(host) || routes.some(({ pattern }) => covers(pattern, host))) return origin;
  throw new DeployProblem(
    `GATEHOUSE_URL is ${origin}, but wrangler.jsonc serves ${served.length === 0 ? "no address" : served.join(", ")}. ` +
      `Add a route for it, or set GATEHOUSE_URL to what is served, or to "" to have it chosen; whoever is connected then signs in again.`,
  );
}

/** The host of a custom domain, or of a route that takes all of one host. */
function servedHost({ pattern }: DeploySettings["routes"][number]): string | undefined {
  const [host = "", ...rest] = pattern.replace(/^https?:\/\//, "").split("/");
  const isWhole = rest.length === 0 || (rest.length === 1 && rest[0] === "*");
  return host === "" || host.includes("*") || !isWhole ? undefined : host;
}

/** Whether a pattern such as `*.example.com/*` takes all of a host. */
function covers(pattern: string, host: string): boolean {
  const [wanted = "", ...rest] = pattern.replace(/^https?:\/\//, "").split("/");
  if (rest.join("/") !== "*" || !wanted.startsWith("*")) return false;
  const end = wanted.slice(1);
  return host.endsWith(end) && host.length > end.length;
}

function noAddress({ worker, isOnWorkersDev, routes }: DeploySettings, subdomain: string | undefined): never {
  if (isOnWorkersDev && subdomain === undefined)
    throw new DeployProblem(
      `The account has no workers.dev subdomain, so ${worker} would have no address. Open Workers & Pages in the dashboard once to choose one, ` +
        `or give it a domain in wrangler.jsonc: "routes": [{ "pattern": "gatehouse.example.com", "custom_domain": true }].`,
    );
  const patterns = routes.map(({ pattern }) => pattern).join(", ");
  throw new DeployProblem(
    routes.length === 0
      ? `wrangler.jsonc has "workers_dev": false and no routes, so ${worker} would have no address.`
      : `The routes ${patterns} take no whole host, so the URL is not plain from them. Set GATEHOUSE_URL in wrangler.jsonc.`,
  );
}
