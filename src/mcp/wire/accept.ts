// Parses the Accept header (RFC 9110 §12.5.1) to decide which media types a client can read.

/** A weight of 0 means "not acceptable". */
const WEIGHT_ZERO = /^0(?:\.0{0,3})?$/;
/** Quoted parameter values, whose commas and semicolons are not separators. */
const QUOTED = /"(?:[^"\\]|\\.)*(?:"|$)/g;

interface MediaRange {
  readonly type: string;
  readonly isAcceptable: boolean;
}

/** Whether the header accepts a media type, by its most specific range. A missing or empty header accepts everything. */
export function isAccepted(header: string | null, mediaType: string): boolean {
  const ranges = parseRanges(header ?? "");
  return ranges.length === 0 || matchesRange(ranges, mediaType, ["*/*"]);
}

/** Whether the header names a media type or its family. Ignores the wildcard that many HTTP libraries send by default. */
export function isAcceptedByName(header: string | null, mediaType: string): boolean {
  return matchesRange(parseRanges(header ?? ""), mediaType, []);
}

function matchesRange(ranges: readonly MediaRange[], mediaType: string, wildcards: readonly string[]): boolean {
  const [family = ""] = mediaType.split("/");
  for (const type of [mediaType, `${family}/*`, ...wildcards]) {
    const matching = ranges.filter((range) => range.type === type);
    if (matching.length > 0) return matching.some(({ isAcceptable }) => isAcceptable);
  }
  return false;
}

function parseRanges(header: string): readonly MediaRange[] {
  const elements = header.toLowerCase().replaceAll(QUOTED, "").split(",");
  return elements.flatMap((element) => {
    const [type = "", ...parameters] = element.split(";").map((field) => field.trim());
    if (type === "") return [];
    const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
    return [{ type, isAcceptable: weight === undefined || !WEIGHT_ZERO.test(weight) }];
  });
}
