// An OAuth client that signs a user in through a real browser, as clients on users' machines do: it opens the authorization URL and
// waits on its own port for the callback.
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { OAuthClientMetadata } from "@modelcontextprotocol/client";
import type { Page } from "playwright-core";
import { TestAuth } from "./sign-in.ts";

/** Signs in through a browser. */
export class BrowserAuth extends TestAuth {
  readonly #name: string;
  readonly #walk: (url: URL) => Promise<void>;
  readonly #answers: AnswerPort;

  /** `walk` does what the user does in the browser, from the authorization URL to the client's last page. */
  constructor(name: string, answers: AnswerPort, walk: (url: URL) => Promise<void>) {
    super("");
    this.#name = name;
    this.#answers = answers;
    this.#walk = walk;
  }

  override get redirectUrl(): string {
    return this.#answers.url;
  }

  override get clientMetadata(): OAuthClientMetadata {
    return { ...super.clientMetadata, client_name: this.#name, redirect_uris: [this.redirectUrl] };
  }

  override async redirectToAuthorization(authorizationUrl: URL): Promise<void> {
    await this.#walk(authorizationUrl);
    this.callback = await this.#answers.next();
  }
}

/** A client's callback server on loopback. */
export interface AnswerPort {
  readonly url: string;
  /** Waits for the browser's next callback and returns its URL. */
  next(): Promise<URL>;
  close(): void;
}

/** Opens a callback server on a free port. */
export async function openAnswerPort(): Promise<AnswerPort> {
  let callback = Promise.withResolvers<URL>();
  let origin = "";
  const server: Server = createServer(({ url = "/" }, response) => {
    response.end("You may close this page.");
    if (url.startsWith("/callback")) callback.resolve(new URL(url, origin));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no port");
  origin = `http://127.0.0.1:${address.port}`;
  return {
    url: `${origin}/callback`,
    async next() {
      const url = await callback.promise;
      callback = Promise.withResolvers<URL>();
      return url;
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Opens the consent page and presses a button. */
export async function decide(page: Page, url: URL, decision: "Connect" | "Do not connect"): Promise<void> {
  await page.goto(url.href);
  await page.getByRole("button", { name: decision, exact: true }).click();
}
