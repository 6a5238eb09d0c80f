// Parses the doctor's argument: the URL of the deployment to examine.

/** The endpoint to examine. */
export interface Target {
  /** The endpoint's URL exactly as clients use it, without a trailing slash. */
  readonly resource: string;
  readonly origin: string;
  readonly hostname: string;
  readonly isSecure: boolean;
  readonly isLoopback: boolean;
}

/** The argument is not the URL of a deployment. The message says what the command takes. */
export class UsageProblem extends Error {}

/** Parses an origin or the full URL of the endpoint. Throws `UsageProblem`. */
export function parseTarget(argument: string | undefined): Target {
  const usage = "Give the URL of a deployment: npm run doctor -- https://gatehouse.example.com";
  if (argument === undefined || !URL.canParse(argument)) throw new UsageProblem(usage);
  const url = new URL(argument);
  if (!["https:", "http:"].includes(url.protocol) || url.search !== "" || url.hash !== "")
    throw new UsageProblem(usage);
  if (url.username !== "" || url.password !== "")
    throw new UsageProblem(`${usage}. The URL must not have a user name or password.`);
  // Clients that use /mcp/ are served like those of /mcp, with the metadata of /mcp.
  const path = url.pathname.replace(/\/$/, "");
  return {
    resource: `${url.origin}${path === "" ? "/mcp" : path}`,
    origin: url.origin,
    hostname: url.hostname,
    isSecure: url.protocol === "https:",
    isLoopback: ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname),
  };
}
