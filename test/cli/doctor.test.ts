// Tests the doctor against the real local server, and against proxies in front of it that each add one fault: the doctor must report
// that fault and no other.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, inject, it } from "vitest";
import { READING_ATTACKS, faultOf } from "../../cli/doctor/attacks.ts";
import { examine } from "../../cli/doctor/examine.ts";
import { linesOf, quote } from "../../cli/doctor/finding.ts";
import type { Finding } from "../../cli/doctor/finding.ts";
import { send } from "../../cli/doctor/http.ts";
import { parseTarget } from "../../cli/doctor/target.ts";
import { createCertificate } from "../support/node/certificate.ts";
import { freePort } from "../support/node/server.ts";
import { startStandIn } from "../support/node/altering-server.ts";
import type { Faults, StandIn } from "../support/node/altering-server.ts";
import { ROOT } from "../support/node/worker.ts";
import { tokensFor } from "../support/oauth.ts";
import { CASES, INSIDE_CASES, isMetadata, plain, without } from "./faults.ts";

const origin = inject("origin");
const open: StandIn[] = [];

afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

async function standIn(faults: Faults = {}): Promise<StandIn> {
  const started = await startStandIn(origin, faults);
  open.push(started);
  return started;
}

async function findingsOf(url: string, token?: string): Promise<readonly Finding[]> {
  return examine({ target: parseTarget(url), token, send, onFinding: () => {} });
}

/** The names of the checks that found something wrong. */
const bad = (findings: readonly Finding[]): readonly string[] =>
  findings.filter(({ state }) => state === "problem" || state === "warning").map(({ check }) => check);

async function tokenOf(account: string): Promise<string> {
  const flow = { origin, send: async (url: string, init: RequestInit) => fetch(url, { redirect: "manual", ...init }) };
  return (await tokensFor(flow, `${account}@harbor.example`)).accessToken;
}

/** Runs the command in a process of its own. */
async function run(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ["cli/main.ts", "doctor", ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  child.stderr.on("data", (chunk) => (output += String(chunk)));
  const [status]: unknown[] = await once(child, "close");
  return { status, output };
}

describe("the doctor without an access token", () => {
  it("finds no problem with the server of npm start and exits with status 0", async () => {
    const { status, output } = await run([origin]);
    expect(output).toContain("No problems found.");
    expect(output).toContain("This registers one client that stays unused");
    expect(output).not.toMatch(/^(?:BAD|warn)/m);
    expect(status).toBe(0);
  });

  it("finds no problem behind a proxy without faults", async () => {
    const findings = await findingsOf((await standIn()).origin);
    expect(bad(findings)).toEqual([]);
    expect(findings.find(({ check }) => check === "clock")?.state).toBe("fine");
  });

  it.each(CASES)("reports only $fault", async ({ faults, named, says }) => {
    const findings = await findingsOf((await standIn(faults)).origin);
    expect(bad(findings)).toEqual(named);
    const first = findings.find(({ check }) => check === named[0]);
    expect(first?.says).toMatch(says);
    for (const line of findings.flatMap(linesOf)) expect(line).toMatch(/^(?:ok|–|warn|BAD|      →)/);
  });

  it("stops at a redirect and registers no client", async () => {
    const redirecting = await standIn({ instead: () => plain(308, "", { location: `${origin}/mcp` }) });
    await findingsOf(redirecting.origin);
    expect(redirecting.asked).toHaveLength(1);
  });

  it.each([
    ["a port without a server", async () => `http://localhost:${await freePort()}`, /the connection is refused/],
    ["an http URL of another machine", async () => "http://gatehouse.example", /begins with http/],
    [
      "another host name of this machine",
      async () => origin.replace("localhost", "127.0.0.1"),
      /under this host name \(403\)/,
    ],
    ["a wrong path", async () => `${origin}/elsewhere`, /no endpoint at this URL \(404\)/],
  ])("reports %s and exits with status 1", async (_name, url, says) => {
    const { status, output } = await run([await url()]);
    expect(output).toMatch(says);
    expect(output).toMatch(/^ +→ /m);
    expect(status).toBe(1);
  });

  it("names the missing URL and exits with status 2", async () => {
    const { status, output } = await run([]);
    expect(output).toContain("Missing required argument 'url'.");
    expect(output).toContain("npm run doctor -- https://gatehouse.example.com");
    expect(status).toBe(2);
  });

  it.each([["nope"], ["ftp://a.example"], ["https://a.example/mcp?x"], ["https://me:secret@a.example"]])(
    "prints its usage for the argument %s",
    async (...args) => {
      const { status, output } = await run(args);
      expect(output).toMatch(/^Give the URL of a deployment/);
      expect(output).not.toContain("secret");
      expect(status).toBe(2);
    },
  );
});

it.each(["", "/", "/mcp", "/mcp/"])("parseTarget reads https://a.example%s as the endpoint's URL", (path) => {
  expect(parseTarget(`https://a.example${path}`).resource).toBe("https://a.example/mcp");
});

describe("the doctor's TLS check", () => {
  interface CertificateCase {
    readonly name: string;
    readonly days: number;
    readonly hostname?: string;
    readonly isTrusted?: boolean;
    readonly says: RegExp;
    readonly status: number;
  }
  const cases: readonly CertificateCase[] = [
    { name: "a certificate with two months left", days: 60, says: /^ok +tls: .* 59 more days$/m, status: 0 },
    { name: "a certificate that ends within days", days: 5, says: /^warn +tls: .* 4 more days\n +→ /m, status: 0 },
    { name: "an expired certificate", days: -1, says: /^BAD +tls: the certificate has expired/m, status: 1 },
    {
      name: "a certificate of another host name",
      days: 60,
      hostname: "old.example",
      says: /^BAD +tls: .*another host name/m,
      status: 1,
    },
    { name: "a self-signed certificate", days: 60, isTrusted: false, says: /^BAD +tls: .*self-signed/m, status: 1 },
  ];
  it.each(cases)("reports $name", async ({ days, hostname = "localhost", isTrusted = true, says, status }) => {
    const credentials = createCertificate(hostname, new Date(Date.now() + days * 86_400_000));
    const started = await startStandIn(origin, {}, credentials);
    open.push(started);
    const dir = mkdtempSync(join(tmpdir(), "gatehouse-doctor-"));
    const file = join(dir, "certificate.pem");
    writeFileSync(file, credentials.cert);
    const trust: Record<string, string> = isTrusted ? { NODE_EXTRA_CA_CERTS: file } : {};
    const result = await run([started.origin], { ...trust, GATEHOUSE_TOKEN: status === 0 ? "" : "a:b:c" });
    rmSync(dir, { recursive: true });
    expect(result.output).toMatch(says);
    expect(result.status).toBe(status);
    // Nothing is sent over an untrusted connection.
    if (status !== 0) expect(started.asked).toEqual([]);
  });
});

describe("the doctor with an access token", () => {
  it("tries the read-only attacks on every database and reports its SQLite version", async () => {
    const findings = await findingsOf(origin, await tokenOf("support"));
    expect(bad(findings)).toEqual([]);
    const report = findings.map(({ check, says }) => `${check}: ${says}`).join("\n");
    expect(report).toContain("handshake (2025): a session opens, lists 6 tools and ends");
    expect(report).toContain("handshake (2026): discovery works and lists 6 tools");
    expect(report).toMatch(/attacks on shop: \d{3} tried on customers, none succeeded/);
    expect(report).toMatch(/SQLite of shop: behaves as 3\.\d+ or newer.*; 3\.\d+\.\d+ checks queries/);
  }, 180_000);

  it("reports a malformed access token", async () => {
    const findings = await findingsOf(origin, "a:b:c");
    expect(bad(findings)).toEqual(["handshake (2025)", "handshake (2026)"]);
  });

  it.each(INSIDE_CASES)("reports only $fault", async ({ faults, named, says }) => {
    const findings = await findingsOf((await standIn(faults)).origin, await tokenOf("guest"));
    expect(bad(findings)).toEqual(named);
    expect(findings.find(({ check }) => check === named[0])?.says).toMatch(says);
  });

  it("reports a proxy that removes the session id", async () => {
    const { origin: url } = await standIn({ gives: (given) => without(given, "mcp-session-id") });
    expect(bad(await findingsOf(url, await tokenOf("guest")))).toEqual(["handshake (2025)"]);
  });

  it("sends the access token only to the examined URL, and never prints it even when the server echoes it", async () => {
    const token = await tokenOf("guest");
    const { origin: url, asked } = await standIn({
      gives: (given, { path, headers }) => {
        if (isMetadata(path)) return { ...given, text: given.text.replace('/mcp"', `/mcp${token}"`) };
        return path === "/mcp" && headers.has("authorization") ? plain(200, token, { "mcp-session-id": token }) : given;
      },
    });
    const { status, output } = await run([url], { GATEHOUSE_TOKEN: token });
    expect(status).toBe(1);
    expect(output).toContain("/mcp[token]");
    expect(output).not.toContain(token);
    const carriers = asked.filter(({ headers, path, body }) =>
      [...headers.values(), path, body].join(" ").includes(token),
    );
    expect(new Set(carriers.map(({ path }) => path))).toEqual(new Set(["/mcp"]));
  });

  it("does not send the access token over plain http or after a redirect", async () => {
    const other = await standIn();
    const redirecting = await standIn({ instead: () => plain(307, "", { location: `${other.origin}/mcp` }) });
    const token = await tokenOf("guest");
    await findingsOf(redirecting.origin, token);
    await findingsOf("http://gatehouse.example", token);
    expect(redirecting.asked.some(({ headers }) => headers.has("authorization"))).toBe(false);
    expect(other.asked).toEqual([]);
  });
});

describe("the doctor's attacks", () => {
  it("contain no statement that writes", () => {
    expect(READING_ATTACKS.length).toBeGreaterThanOrEqual(380);
    const harmful =
      /\b(?:delete|insert|update|drop|alter|create|vacuum|attach|reindex|analyze)\b|replace into|writefile/i;
    expect(READING_ATTACKS.filter(({ sql }) => harmful.test(sql))).toEqual([]);
  });

  const answered = { structuredContent: { columns: ["amount"], rows: [[1]] } };
  const refused = (code: string, message = "no") => ({
    isError: true,
    content: [{ type: "text", text: `${code}: ${message}` }],
    structuredContent: { error: { code, message } },
  });
  const verdict = (category: string, sql: string, result: object, status = 200) =>
    faultOf(
      { category, sql },
      { ...plain(status, JSON.stringify({ jsonrpc: "2.0", id: 1, result })), sentMs: 0, receivedMs: 0 },
    );

  it.each([
    ["a hidden table that was read", verdict("salaries", "SELECT * FROM salaries", answered), "is answered"],
    ["a function that ran", verdict("functions", "SELECT sqlite_version() FROM people", answered), "is answered"],
    [
      "a schema that was read",
      verdict("writes and other statements", "SELECT sql FROM sqlite_master", answered),
      "is answered",
    ],
    [
      "the database's own message",
      verdict("lexical", "SELECT 1)", refused("query_failed", "D1_ERROR: near )")),
      "is answered with the database's own message",
    ],
    ["an internal error", verdict("lexical", "SELECT 1)", refused("internal")), "ends with internal"],
    ["a crash", verdict("lexical", "SELECT 1)", {}, 500), "answers 500"],
    ["a refusal", verdict("salaries", "SELECT * FROM salaries", refused("query_failed")), undefined],
    ["a harmless answer", verdict("other rows", "SELECT group_concat(name) FROM people", answered), undefined],
  ])("are judged correctly: %s", (_name, fault, expected) => {
    expect(fault).toBe(expected);
  });
});

it("quote escapes control characters in a server's text and shortens it", () => {
  expect(quote("a\u001b[2J\n\u009b1m\u202eb")).toBe('"a\\u001b[2J\\nU+009B1mU+202Eb"');
  expect(quote("x".repeat(1000)).length).toBeLessThan(200);
});
