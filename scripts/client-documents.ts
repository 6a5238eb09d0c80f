// Whether the server of `npm start` takes clients with a metadata document: it must be able to fetch that document, and a client
// that could register itself does not try to once it has read that it need not.
import { connect } from "node:tls";
import { CLIENT_DOCUMENTS_VARIABLE, parseClientDocuments } from "../src/auth/settings.ts";
import { PolicyProblem } from "./policy-file.ts";
import { localVariable } from "./sign-in.ts";

export interface LocalClientDocuments {
  readonly isOn: boolean;
  /** Whether it was decided here, as the network does not answer. */
  readonly isOffline: boolean;
}

export interface NetworkProbe {
  readonly host: string;
  readonly port: number;
  /** Instead of the certificate authorities that Node trusts. */
  readonly ca?: string;
}

/** Where the document of Claude Code is, which most people try a local server with. */
export const PROBE: NetworkProbe = { host: "claude.ai", port: 443 };
const PROBE_MS = 3000;

/** As the operator has set it; otherwise by whether the network answers. Throws `PolicyProblem` for a value that it does not take. */
export async function localClientDocuments(configPath: string, probe = PROBE): Promise<LocalClientDocuments> {
  const value = localVariable(configPath, CLIENT_DOCUMENTS_VARIABLE) ?? "";
  if (value === "") {
    const isOn = await doesNetworkAnswer(probe);
    return { isOn, isOffline: !isOn };
  }
  try {
    return { isOn: parseClientDocuments({ [CLIENT_DOCUMENTS_VARIABLE]: value }), isOffline: false };
  } catch (error) {
    if (error instanceof TypeError) throw new PolicyProblem(error.message, { cause: error });
    throw error;
  }
}

/** Whether a TLS handshake succeeds. Node's fetch could go through a proxy, which workerd does not. */
export function doesNetworkAnswer({ host, port, ca }: NetworkProbe, timeoutMs = PROBE_MS): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, servername: host, ...(ca === undefined ? {} : { ca }) });
    const settle = (doesAnswer: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(doesAnswer);
    };
    const timer = setTimeout(settle, timeoutMs, false);
    socket.once("secureConnect", () => settle(true));
    // Unreachable, refused, no such name, or an untrusted certificate: workerd could not fetch a document either.
    socket.once("error", () => settle(false));
  });
}
