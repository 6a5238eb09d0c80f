// Parses the doctor's argument: the URL of the deployment to examine.
import { usageError } from "../kit/cli-error.ts";

/** The endpoint to examine. */
export interface Target {
  /** The endpoint's URL exactly as clients use it, without a trailing slash. */
  readonly resource: string;
  readonly origin: string;
  readonly hostname: string;
  readonly isSecure: boolean;
  readonly isLoopback: boolean;
}

/** Parses an origin or the full URL of the endpoint. Throws `CliError` with exit code 2. */
export function parseTarget(argument: string): Target {
  const usage = "Give the URL of a deployment: npm run doctor -- https://gatehouse.example.com";
  if (!URL.canParse(argument)) throw usageError(usage);
  const url = new URL(argument);
  if (!["https:", "http:"].includes(url.protocol) || url.search !== "" || url.hash !== "") throw usageError(usage);
  if (url.username !== "" || url.password !== "")
    throw usageError(`${usage}. The URL must not have a user name or password.`);
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
