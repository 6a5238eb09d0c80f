// How each client is connected to this server: its one-click install where it has one, and the exact line or snippet. Shown
// by the home page and by scripts.

/** The name under which a client lists this server. */
export const SERVER_NAME = "gatehouse";

export interface ClientGuide {
  readonly client: string;
  /** What to do, and where the text goes. */
  readonly how: string;
  /** The exact text: a command, a snippet, or the URL. */
  readonly paste: string;
  /** What to do after that, until it asks to sign in; absent where it asks by itself. */
  readonly next?: string;
  /** Opens the client with everything filled in. */
  readonly install?: string;
  /** Whether it connects from the internet, where one's own machine cannot be reached. */
  readonly isHosted: boolean;
}

/** All clients for a server's MCP URL, in the order of their use. */
export function clientGuides(resource: string): readonly ClientGuide[] {
  const isHosted = false;
  return [
    {
      client: "Claude Code",
      how: "Run this in a terminal.",
      paste: `claude mcp add --transport http ${SERVER_NAME} ${resource}`,
      next: `Then type /mcp in Claude Code and choose ${SERVER_NAME} to sign in.`,
      isHosted,
    },
    {
      client: "Claude.ai",
      how: "Settings → Connectors → Add custom connector, and paste this URL. The desktop and mobile apps then have it too.",
      paste: resource,
      isHosted: true,
    },
    {
      client: "ChatGPT",
      how: "Settings → Apps → Advanced settings: turn on developer mode. Then Create app, with this URL and OAuth.",
      paste: resource,
      isHosted: true,
    },
    {
      client: "Cursor",
      how: "Put this into .cursor/mcp.json.",
      paste: snippet({ mcpServers: { [SERVER_NAME]: { url: resource } } }),
      install: cursorLink(resource),
      isHosted,
    },
    {
      client: "VS Code",
      how: "Run this in a terminal.",
      paste: `code --add-mcp '${snippet({ name: SERVER_NAME, type: "http", url: resource })}'`,
      install: vsCodeLink(resource),
      isHosted,
    },
    {
      client: "Codex",
      how: "Run this in a terminal.",
      paste: `codex mcp add ${SERVER_NAME} --url ${resource}`,
      isHosted,
    },
    {
      client: "Gemini CLI",
      how: "Run this in a terminal.",
      paste: `gemini mcp add --transport http ${SERVER_NAME} ${resource}`,
      next: `Then type /mcp auth ${SERVER_NAME} in Gemini CLI to sign in.`,
      isHosted,
    },
    {
      client: "Any other",
      how: "Put this into its MCP configuration; many ask for the URL alone.",
      paste: snippet({ mcpServers: { [SERVER_NAME]: { type: "http", url: resource } } }),
      isHosted,
    },
  ];
}

/** Those that reach the server from where they run: hosted ones cannot reach one's own machine. */
export function clientLines(resource: string): readonly ClientGuide[] {
  return clientGuides(resource).filter((guide) => isReachable(guide, resource));
}

/** Whether a client reaches the server from where it runs. Only a server on one's own machine has http (see parseEnv). */
export function isReachable({ isHosted }: ClientGuide, resource: string): boolean {
  return !isHosted || new URL(resource).protocol === "https:";
}

function cursorLink(resource: string): string {
  const config = btoa(JSON.stringify({ url: resource }));
  return `cursor://anysphere.cursor-deeplink/mcp/install?name=${SERVER_NAME}&config=${encodeURIComponent(config)}`;
}

function vsCodeLink(resource: string): string {
  return `vscode:mcp/install?${encodeURIComponent(JSON.stringify({ name: SERVER_NAME, type: "http", url: resource }))}`;
}

/** JSON on one line, with spaces at which a narrow page can break it. */
function snippet(value: object): string {
  return JSON.stringify(value, null, 1).replaceAll(/\n */g, " ");
}
