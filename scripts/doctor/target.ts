// What is examined: the URL that clients are given.

export interface Target {
  /** Exactly as clients have it: no trailing slash after /mcp. */
  readonly resource: string;
  readonly origin: string;
  readonly hostname: string;
  readonly isSecure: boolean;
  readonly isLoopback: boolean;
}

/** What was given is no URL of a deployment; the message says what is. */
export class UsageProblem extends Error {}

/** Reads the argument: an origin, or the whole URL of the endpoint. Throws `UsageProblem`. */
export function parseTarget(argument: string | undefined): Target {
  const takes = "Give the URL of a deployment: npm run doctor -- https://gatehouse.example.com";
  if (argument === undefined || !URL.canParse(argument)) throw new UsageProblem(takes);
  const url = new URL(argument);
  if (!["https:", "http:"].includes(url.protocol) || url.search !== "" || url.hash !== "")
    throw new UsageProblem(takes);
  if (url.username !== "" || url.password !== "") throw new UsageProblem(`${takes}. It takes no name and password.`);
  // Clients that are given /mcp/ are served like those of /mcp, and its metadata is that of /mcp.
  const path = url.pathname.replace(/\/$/, "");
  return {
    resource: `${url.origin}${path === "" ? "/mcp" : path}`,
    origin: url.origin,
    hostname: url.hostname,
    isSecure: url.protocol === "https:",
    isLoopback: ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname),
  };
}
