// What tests need that build the SQL of a guard view or of a mask by themselves.
import type { MaskingTokenSql } from "../../src/policy/masks.ts";
import type { ViewSelectOptions } from "../../src/sql/statement-guard.ts";

/** The options of a view that nothing changes. */
export const PLAIN_VIEW: ViewSelectOptions = { ordering: "free", storageOrder: [], ruleIndexed: true, nonce: "n" };

/** The SQL of masking tokens that are stored under the names of their domains. */
export const TOKEN_SQL: MaskingTokenSql = { bindDomain: (domain) => `'${domain}'`, missingMarker: "missing" };
