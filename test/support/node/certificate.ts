// Creates self-signed certificates (RFC 5280) for test servers, with a chosen host name and expiry.
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";

/** A private key and its certificate, both as PEM. */
export interface Credentials {
  readonly key: string;
  readonly cert: string;
}

const DER = { boolean: 1, integer: 2, bits: 3, octets: 4, oid: 6, text: 12, time: 23, sequence: 48, set: 49 } as const;

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const long = Buffer.from([body.length >> 8, body.length & 255]);
  const length = body.length < 128 ? [body.length] : [0x82, ...long];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

const oid = (hex: string): Buffer => der(DER.oid, Buffer.from(hex, "hex"));
const COMMON_NAME = oid("550403");
const ALTERNATIVE_NAMES = oid("551d11");
const CONSTRAINTS = oid("551d13");
const ECDSA_SHA256 = der(DER.sequence, oid("2a8648ce3d040302"));

/** Encodes a date as UTCTime: `261125120000Z`. */
const time = (date: Date): Buffer =>
  der(DER.time, Buffer.from(`${date.toISOString().replaceAll(/[-:T]/g, "").slice(2, 14)}Z`));

/** Creates a certificate for `hostname` that is valid until `validTo`. */
export function createCertificate(hostname: string, validTo: Date): Credentials {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const common = der(DER.sequence, COMMON_NAME, der(DER.text, Buffer.from(hostname)));
  const name = der(DER.sequence, der(DER.set, common));
  const names = der(DER.octets, der(DER.sequence, der(0x82, Buffer.from(hostname))));
  const authority = der(DER.octets, der(DER.sequence, der(DER.boolean, Buffer.from([255]))));
  const extensions = [der(DER.sequence, ALTERNATIVE_NAMES, names), der(DER.sequence, CONSTRAINTS, authority)];
  const content = der(
    DER.sequence,
    der(0xa0, der(DER.integer, Buffer.from([2]))),
    der(DER.integer, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_SHA256,
    name,
    der(DER.sequence, time(new Date(validTo.getTime() - 90 * 86_400_000)), time(validTo)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, der(DER.sequence, ...extensions)),
  );
  const signature = der(DER.bits, Buffer.from([0]), sign("sha256", content, privateKey));
  const certificate = der(DER.sequence, content, ECDSA_SHA256, signature).toString("base64");
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${certificate.match(/.{1,64}/g)?.join("\n")}\n-----END CERTIFICATE-----\n`,
  };
}
