// Tests whether `npm start` advertises client metadata documents: by the setting, or else by whether the network answers.
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { CliError } from "../../cli/kit/cli-error.ts";
import { PROBE, doesNetworkAnswer, localClientDocuments } from "../../cli/local-server/client-documents.ts";
import { REDIRECT_URI, authorizeUrl, readJson, tokensFor } from "../support/oauth.ts";
import { createCertificate } from "../support/node/certificate.ts";
import { freePort, startServer } from "../support/node/server.ts";

const NAME = "GATEHOUSE_CLIENT_METADATA_DOCUMENTS";
const HOUR_MS = 3_600_000;
const folders: string[] = [];
const servers: Server[] = [];

afterEach(() => {
  vi.unstubAllEnvs();
  for (const server of servers.splice(0)) server.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  return (server.address() as AddressInfo).port;
}

function makeFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-documents-"));
  folders.push(folder);
  return folder;
}

describe("doesNetworkAnswer", () => {
  it("is true when the host completes a handshake with a trusted certificate", async () => {
    const { key, cert } = createCertificate("localhost", new Date(Date.now() + HOUR_MS));
    const port = await listen(createTlsServer({ key, cert }));
    expect(await doesNetworkAnswer({ host: "localhost", port, ca: cert })).toBe(true);
  });

  it("is false when the certificate is not trusted, as behind a captive portal", async () => {
    const port = await listen(createTlsServer(createCertificate("localhost", new Date(Date.now() + HOUR_MS))));
    expect(await doesNetworkAnswer({ host: "localhost", port })).toBe(false);
  });

  it("is false when the host accepts the connection and sends nothing", async () => {
    const port = await listen(createTcpServer((socket) => socket.on("error", () => {})));
    expect(await doesNetworkAnswer({ host: "localhost", port }, 200)).toBe(false);
  });

  it("is false when the connection is refused", async () => {
    expect(await doesNetworkAnswer({ host: "localhost", port: await freePort() })).toBe(false);
  });
});

describe("localClientDocuments", () => {
  const offline = async () => ({ host: "localhost", port: await freePort() });

  it.each(["on", "off"])("follows the environment when the variable is %s", async (value) => {
    vi.stubEnv(NAME, value);
    expect(await localClientDocuments(path.join(makeFolder(), "wrangler.jsonc"), await offline())).toEqual({
      isOn: value === "on",
      isOffline: false,
    });
  });

  it("follows .dev.vars when the environment does not set the variable", async () => {
    const dir = makeFolder();
    writeFileSync(path.join(dir, ".dev.vars"), `${NAME}=on\n`);
    expect(await localClientDocuments(path.join(dir, "wrangler.jsonc"), await offline())).toMatchObject({ isOn: true });
  });

  it("is off when nothing is set and the network does not answer", async () => {
    expect(await localClientDocuments(path.join(makeFolder(), "wrangler.jsonc"), await offline())).toEqual({
      isOn: false,
      isOffline: true,
    });
  });

  it("refuses any other value and names the variable", async () => {
    vi.stubEnv(NAME, "false");
    const decision = localClientDocuments(path.join(makeFolder(), "wrangler.jsonc"), await offline());
    await expect(decision).rejects.toThrow(CliError);
    await expect(decision).rejects.toThrow(`${NAME} is "false". It takes on or off.`);
  });
});

describe("npm start", () => {
  it("registers clients and does not advertise metadata documents when they are off", async () => {
    const server = await startServer(await freePort(), makeFolder(), { [NAME]: "off" });
    try {
      const flow = { origin: server.origin, send: fetch };
      const metadata = await readJson(await fetch(`${server.origin}/.well-known/oauth-authorization-server`));
      expect(metadata["client_id_metadata_document_supported"]).toBe(false);
      expect(metadata["token_endpoint_auth_methods_supported"]).not.toContain("private_key_jwt");
      const client = { clientId: "https://client.example/metadata.json", redirectUri: REDIRECT_URI };
      const page = await fetch(await authorizeUrl(flow, client));
      expect(page.status).toBe(400);
      expect(await page.text()).toContain("an address from which this server fetches no description");
      expect((await tokensFor(flow, "analyst@harbor.example")).accessToken).not.toBe("undefined");
      expect(server.output()).not.toContain("The network does not answer");
    } finally {
      await server.stop("SIGTERM");
    }
  }, 60_000);

  it("advertises metadata documents when the network answers, and otherwise says that it does not", async () => {
    const doesAnswer = await doesNetworkAnswer(PROBE);
    const server = await startServer(await freePort(), makeFolder());
    try {
      const metadata = await readJson(await fetch(`${server.origin}/.well-known/oauth-authorization-server`));
      expect(metadata["client_id_metadata_document_supported"]).toBe(doesAnswer);
      expect(server.output().includes("The network does not answer")).toBe(!doesAnswer);
    } finally {
      await server.stop("SIGTERM");
    }
  }, 60_000);
});
