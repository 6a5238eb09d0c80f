// A minimal browser for tests: it keeps cookies and submits the forms of our pages. It does not follow redirects by itself.

/** A form of a page. */
interface Form {
  readonly action: string;
  readonly hidden: ReadonlyMap<string, string>;
  /** The name and value of each button. */
  readonly buttons: readonly (readonly [string, string])[];
}

/** Reads the first form of a page. */
export function readForm(html: string): Form {
  const [form] = readForms(html);
  if (form === undefined) throw new Error(`the page has no form: ${html}`);
  return form;
}

function readForms(html: string): readonly Form[] {
  return [...html.matchAll(/<form([^>]*)>(.*?)<\/form>/gs)].map(([, attributes = "", inner = ""]) => {
    const read = (tag: RegExp): readonly (readonly [string, string])[] =>
      [...inner.matchAll(tag)].map(([, text = ""]) => [attribute(text, "name"), attribute(text, "value")]);
    const hidden = new Map(read(/<input([^>]*)>/g));
    return { action: attribute(attributes, "action"), hidden, buttons: read(/<button([^>]*)>/g) };
  });
}

function attribute(text: string, name: string): string {
  const value = new RegExp(`\\b${name}="([^"]*)"`).exec(text)?.[1] ?? "";
  return value
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}

/** An opened page with the response that it came in. */
export interface Page {
  readonly url: string;
  readonly response: Response;
  readonly html: string;
}

/** A browser with its own cookies. */
export interface Browser {
  open(url: string): Promise<Page>;
  /** Submits the form that has the button with this name and value. Throws when the page has no such button. */
  press(page: Page, name: string, value: string): Promise<Page>;
  /** Posts fields, as a form of a page would. */
  post(url: string, fields: Readonly<Record<string, string>>): Promise<Page>;
}

/** Sends a request without following redirects: Node's `fetch`, or the Worker's handler. */
export type Send = (url: string, init: RequestInit) => Promise<Response>;

/** Creates a browser without cookies. It does not follow redirects; the page's response has the Location header. */
export function createBrowser(send: Send): Browser {
  const cookies = new Map<string, string>();
  const request = async (url: string, init: RequestInit = {}): Promise<Page> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await send(url, {
      ...init,
      redirect: "manual",
      headers: cookie === "" ? {} : { cookie },
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ""] = line.split(";");
      const separator = pair.indexOf("=");
      if (/max-age=0/i.test(line)) cookies.delete(pair.slice(0, separator));
      else cookies.set(pair.slice(0, separator), pair.slice(separator + 1));
    }
    return { url, response, html: await response.text() };
  };
  return {
    open: (url) => request(url),
    press: async (page, name, value) => {
      const isPressed = ([itsName, itsValue]: readonly [string, string]): boolean =>
        itsName === name && itsValue === value;
      const form = readForms(page.html).find(({ buttons }) => buttons.some(isPressed));
      if (form === undefined) throw new Error(`${page.url} has no button ${name}=${value}: ${page.html}`);
      const body = new URLSearchParams([...form.hidden, [name, value]]);
      return request(new URL(form.action, page.url).href, { method: "POST", body });
    },
    post: async (url, fields) => request(url, { method: "POST", body: new URLSearchParams(fields) }),
  };
}
