// `audit refused`: the counts of requests that were refused before their user was known.
import { REFUSED_REQUEST_DAYS } from "../../src/audit/refused-requests-store.ts";
import type { Output } from "../kit/output.ts";
import type { OwnDatabase } from "../own-database/own-database.ts";
import { readLimit } from "./list-records.ts";
import { readSpan } from "./search-options.ts";
import type { SpanOptions } from "./search-options.ts";

/** The options of the command. */
export interface RefusedOptions extends Pick<SpanOptions, "since"> {
  readonly limit: string;
}

/** Lists counts, the newest minute first. Throws the error for wrong usage for an option of another form. */
export async function listRefusedRequests(
  { refusedRequests }: Pick<OwnDatabase, "refusedRequests">,
  options: RefusedOptions,
  nowMs: number,
): Promise<Output> {
  const limit = readLimit(options.limit);
  const { sinceMs = 0 } = await readSpan(options, nowMs);
  // One more than is printed says whether there are more.
  const counts = await refusedRequests.list(sinceMs, limit + 1);
  const refused = counts.slice(0, limit).map(({ minuteMs, cause, network, count }) => ({
    minute: new Date(minuteMs).toISOString(),
    cause,
    network,
    count,
  }));
  const hasMore = counts.length > limit;
  return {
    lines: [
      ...refused.map(({ minute, cause, network, count }) =>
        [minute.replace(/:00\.000Z$/, "Z"), cause, network, count].join("  "),
      ),
      ...(refused.length === 0
        ? [`No refused request was counted. Counts stay for ${REFUSED_REQUEST_DAYS} days.`]
        : []),
      ...(hasMore ? ["There are more: raise --limit, or name a later time with --since."] : []),
    ],
    data: { refused, hasMore },
  };
}
