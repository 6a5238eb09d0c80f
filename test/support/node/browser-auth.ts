// A client that signs its person in through a real browser: it opens the browser at the authorization URL and waits on its own
// port for the answer, as the clients on people's machines do.
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { OAuthClientMetadata } from "@modelcontextprotocol/client";
import type { Page } from "playwright-core";
import { TestAuth } from "./sign-in.ts";

export class BrowserAuth extends TestAuth {
  readonly #name: string;
  readonly #walk: (url: URL) => Promise<void>;
  readonly #answers: AnswerPort;

  /** `walk` is what the person does in the browser, from the URL on until it shows the client's last page. */
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

/** A client's own port on the loopback address. */
export interface AnswerPort {
  readonly url: string;
  /** The URL that the browser was sent to. */
  next(): Promise<URL>;
  close(): void;
}

export async function openAnswerPort(): Promise<AnswerPort> {
  let arrived = Promise.withResolvers<URL>();
  let origin = "";
  const server: Server = createServer(({ url = "/" }, response) => {
    response.end("You may close this page.");
    if (url.startsWith("/callback")) arrived.resolve(new URL(url, origin));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no port");
  origin = `http://127.0.0.1:${address.port}`;
  return {
    url: `${origin}/callback`,
    async next() {
      const url = await arrived.promise;
      arrived = Promise.withResolvers<URL>();
      return url;
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Presses a button of the consent page. */
export async function decide(page: Page, url: URL, decision: "Connect" | "Do not connect"): Promise<void> {
  await page.goto(url.href);
  await page.getByRole("button", { name: decision, exact: true }).click();
}
