// Decides whether the server of `npm start` advertises client metadata documents. Offline it must not: it could not fetch them,
// and a client that sees them advertised does not try to register instead.
import { connect } from "node:tls";
import { CLIENT_DOCUMENTS_VARIABLE, parseClientDocuments } from "../../src/sign-in/sign-in-settings.ts";
import { CliError } from "../kit/cli-error.ts";
import { localVariable } from "./sign-in.ts";

/** Whether metadata documents are on, and why. */
export interface LocalClientDocuments {
  readonly isOn: boolean;
  /** True when no setting decides and the network does not answer. */
  readonly isOffline: boolean;
}

/** The TLS server that shows whether the network answers. */
interface NetworkProbe {
  readonly host: string;
  readonly port: number;
  /** PEM certificate to trust instead of Node's certificate authorities. */
  readonly ca?: string;
}

/** The host of Claude Code's metadata document, as most people try a local server with Claude Code. */
export const PROBE: NetworkProbe = { host: "claude.ai", port: 443 };
const PROBE_MS = 3000;

/** Reads the operator's setting; when it is unset, probes the network. Throws `CliError` when the setting's value is invalid. */
export async function localClientDocuments(configPath: string, probe = PROBE): Promise<LocalClientDocuments> {
  const value = localVariable(configPath, CLIENT_DOCUMENTS_VARIABLE) ?? "";
  if (value === "") {
    const isOn = await doesNetworkAnswer(probe);
    return { isOn, isOffline: !isOn };
  }
  try {
    return { isOn: parseClientDocuments({ [CLIENT_DOCUMENTS_VARIABLE]: value }), isOffline: false };
  } catch (error) {
    if (error instanceof TypeError) throw new CliError(error.message, { cause: error });
    throw error;
  }
}

/** Checks whether a TLS handshake succeeds. Node's fetch could go through a proxy, which workerd does not use. */
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
    // Unreachable, refused, unknown name or untrusted certificate: workerd could not fetch a document either.
    socket.once("error", () => settle(false));
  });
}
