// Limits the requests of each network before sign-in, and of each user at /mcp. Cloudflare's rate limiter counts them per
// location and slightly late, with the limits of `ratelimits` in wrangler.jsonc. The ledger counts what must be exact, such as
// the rows per day.
import { htmlPage } from "../ui/layout.tsx";
import { UNKNOWN_NETWORK, getClientNetwork } from "./client-network.ts";
import { createOAuthErrorResponse } from "./grants/oauth-error-response.ts";
import { REGISTRATION_PATH, TOKEN_PATH } from "./oauth-provider.ts";

/** The binding of Cloudflare's rate limiter. */
interface Limiter {
  limit(options: { readonly key: string }): Promise<{ readonly success: boolean }>;
}

interface RateLimitOptions {
  /** `https://gatehouse.example.com`: part of every key, because the deployments of an account may share counters. */
  readonly origin: string;
  /** Whether this deployment runs on a local machine, where no edge sets the client's address. */
  readonly isLocal: boolean;
  readonly limiters: {
    readonly pages: Limiter;
    readonly registration: Limiter;
    readonly token: Limiter;
    readonly mcp: Limiter;
  };
  /** Reports a limiter that failed. */
  readonly onError: (error: unknown) => void;
}

/** Refuses requests over the limits. */
export interface RateLimits {
  /** Refuses a request outside /mcp by its network: 429 in the format that the endpoint's clients read. */
  refuseByNetwork(request: Request): Promise<Response | undefined>;
  /** Counts messages to /mcp. True when the user and their personal access tokens have sent too many. */
  isOverMcpLimit(ownerId: string, count?: number): Promise<boolean>;
}

/** Cloudflare's longer counting period. It does not say when the limit resets, but after this time it has. */
export const RETRY_AFTER_SECONDS = 60;

/** Metadata paths, which cost nothing to serve and which every client and monitor reads. */
const METADATA = /^\/\.well-known\//;

/** Creates the limits. A limiter that fails lets every request through. */
export function createRateLimits({ origin, isLocal, limiters, onError }: RateLimitOptions): RateLimits {
  const isOverLimit = async (limiter: Limiter, subject: string): Promise<boolean> => {
    try {
      return !(await limiter.limit({ key: `${origin} ${subject}` })).success;
    } catch (error) {
      // A failing limiter must not lock all users out: it bounds load and does not decide who may see what.
      onError(error);
      return false;
    }
  };
  return {
    async refuseByNetwork(request) {
      const { pathname } = new URL(request.url);
      // The start page queries the sources for signed-in users only.
      const isSignedOutStartPage = pathname === "/" && !request.headers.has("Cookie");
      // A preflight costs nothing, and a browser hides the reason for its failure from the page.
      if (request.method === "OPTIONS" || METADATA.test(pathname) || isSignedOutStartPage) return undefined;
      // On a local machine there is no edge. Elsewhere its absence is a fault, and all such requests count as one network.
      const network = getClientNetwork(request.headers) ?? (isLocal ? undefined : UNKNOWN_NETWORK);
      if (network === undefined) return undefined;
      switch (pathname) {
        case TOKEN_PATH:
          return (await isOverLimit(limiters.token, network)) ? createOAuthRefusal(request) : undefined;
        case REGISTRATION_PATH:
          return (await isOverLimit(limiters.registration, network)) ? createOAuthRefusal(request) : undefined;
        default:
          return (await isOverLimit(limiters.pages, network)) ? createPageRefusal() : undefined;
      }
    },
    async isOverMcpLimit(ownerId, count = 1) {
      // The platform's limiter counts one at a time.
      for (let counted = 0; counted < count; counted += 1) if (await isOverLimit(limiters.mcp, ownerId)) return true;
      return false;
    },
  };
}

/** Uses `temporarily_unavailable`, because clients treat `invalid_grant` and `server_error` as the end of the sign-in. */
function createOAuthRefusal(request: Request): Response {
  return createOAuthErrorResponse(request, {
    status: 429,
    error: "temporarily_unavailable",
    description: "Too many requests from this network",
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

function createPageRefusal(): Promise<Response> {
  const body = <p>Your network sent too many requests within a minute. Wait a minute, then try again.</p>;
  const headers = new Headers({ "Retry-After": String(RETRY_AFTER_SECONDS) });
  return htmlPage({ title: "Too many requests", body, status: 429, headers });
}
