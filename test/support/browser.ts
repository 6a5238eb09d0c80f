// A signed-in browser session with our own pages, and its requests to the JSON API.
import { createBrowser } from "./forms.ts";
import { ORIGIN, send } from "./worker.ts";

/** An answer of the JSON API. */
interface ApiReply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

/** A user's browser session. */
export interface Person {
  readonly email: string;
  /** The Cookie header. */
  readonly cookie: string;
  readonly csrfToken: string;
  /** Sends a request as a script of our own page does. `headers` replaces headers, or removes them with undefined. */
  readonly api: (
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string | undefined>>,
  ) => Promise<ApiReply>;
}

/** Signs in with an account of the sample. */
export async function personAt(email: string): Promise<Person> {
  let cookie = "";
  const browser = createBrowser(async (url, init) => {
    const response = await send(url, init);
    for (const line of response.headers.getSetCookie()) {
      const [pair = ""] = line.split(";");
      if (pair.startsWith("__Host-gatehouse-session=")) cookie = pair;
    }
    return response;
  });
  await browser.press(await browser.open(`${ORIGIN}/sign-in`), "account", email);
  const session = await request("GET", "/api/session", { cookie });
  const csrfToken = String(session.body["csrfToken"]);
  const pageHeaders = { cookie, origin: ORIGIN, "x-gatehouse-csrf": csrfToken, "content-type": "application/json" };
  return {
    email,
    cookie,
    csrfToken,
    api: (method, path, body, headers = {}) => request(method, `/api${path}`, { ...pageHeaders, ...headers }, body),
  };
}

async function request(
  method: string,
  path: string,
  headers: Readonly<Record<string, string | undefined>>,
  body?: unknown,
): Promise<ApiReply> {
  const present = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const response = await send(`${ORIGIN}${path}`, {
    method,
    headers: present,
    ...(text === undefined ? {} : { body: text }),
  });
  const answer = await response.text();
  return { status: response.status, headers: response.headers, body: answer === "" ? {} : { ...JSON.parse(answer) } };
}
