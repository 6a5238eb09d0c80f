// The expected answer of tools/list for the six tools, byte for byte: clients store and review it, so it must not change by accident.

/** The JSON of each tool, in pieces. */
const TOOLS: readonly (readonly string[])[] = [
  [
    `{"name":"search","title":"Search","description":"Find documents, tables, columns and kept results by words. `,
    `Give a result's id to fetch.",`,
    `"inputSchema":{"type":"object","properties":{"query":{"type":"string","minLength":1,"maxLength":1000},`,
    `"limit":{"type":"integer","minimum":1,"maximum":50}},"required":["query"],"additionalProperties":false},`,
    `"annotations":{"readOnlyHint":true,"openWorldHint":false}}`,
  ],
  [
    `{"name":"fetch","title":"Fetch one thing",`,
    `"description":"Read one thing by id: a document (an id from search), a table's description (source.table), `,
    `a row (source.table/key) or a kept result as CSV (r1). `,
    `A CSV or JSON document comes as a result to query, too.",`,
    `"inputSchema":{"type":"object","properties":{"id":{"type":"string","minLength":1,"maxLength":1000},`,
    `"page":{"description":"of a long document or result, from 1","type":"integer","minimum":1,"maximum":9007199254740991}},`,
    `"required":["id"],"additionalProperties":false},`,
    `"annotations":{"readOnlyHint":true,"openWorldHint":false}}`,
  ],
  [
    `{"name":"describe","title":"Describe the data","description":"What this person may read. `,
    `Without argument: all sources and dataset names. With a source (shop) or a group (shop.order*): its datasets. `,
    `With a dataset (shop.orders): its columns, meanings and masks. Start here.",`,
    `"inputSchema":{"type":"object","properties":{`,
    `"dataset":{"description":"source, source.table or source.prefix*","type":"string","maxLength":300}},`,
    `"additionalProperties":false},`,
    `"annotations":{"readOnlyHint":true,"openWorldHint":false}}`,
  ],
  [
    `{"name":"query","title":"Query a source",`,
    `"description":"Run one SELECT (SQLite dialect: joins, CTEs, window functions) over the tables of one source, with plain table names. `,
    `Rows and columns the person may not see are absent; masked values look like a…@x.example, or are 1962-01-01 for a year. `,
    `Check count, cut, incomplete and restricted before concluding. The rows are kept as result (r1, r2, …): `,
    `with source workspace, results are tables, so data of two sources can be joined.",`,
    `"inputSchema":{"type":"object","properties":{`,
    `"source":{"description":"e.g. shop, or workspace","type":"string","maxLength":100},`,
    `"sql":{"description":"one SELECT","type":"string","maxLength":20000},`,
    `"saved":{"description":"name of a saved query, instead of source and sql","type":"string","maxLength":100},`,
    `"params":{"description":"values for each ? in order, or for a saved query's params","maxItems":100,"type":"array","items":{}},`,
    `"limit":{"description":"rows to show","type":"integer","minimum":1,"maximum":9007199254740991}},`,
    `"additionalProperties":false},`,
    `"annotations":{"readOnlyHint":true,"openWorldHint":false}}`,
  ],
  [
    `{"name":"change","title":"Propose a change of rows","description":"Propose to insert, update or delete rows of `,
    `one table. Nothing changes until it is approved as the policy says, mostly by the person on a page; you cannot `,
    `approve. The answer has a preview and the page. Values are exact literals: never masked ones. Call describe for `,
    `what may be changed.","inputSchema":{"type":"object","properties":{"dataset":{"type":"string","maxLength":300,`,
    `"description":"source.table"},"action":{"type":"string","enum":["insert","update","delete"]},`,
    `"where":{"description":"rows: {\\"id\\": 42} or {\\"id\\": [42, 43]}","type":"object","properties":{},`,
    `"additionalProperties":{}},"values":{"description":"columns to set: {\\"status\\": \\"closed\\"}","type":"object",`,
    `"properties":{},"additionalProperties":{}},"reason":{"type":"string","minLength":1,"maxLength":2000,`,
    `"description":"for the person who decides"},"key":{"description":"the same key is the same change",`,
    `"type":"string","minLength":1,"maxLength":200}},"required":["dataset","action","reason"],`,
    `"additionalProperties":false},"annotations":{"readOnlyHint":false,"destructiveHint":true,"openWorldHint":false}}`,
  ],
  [
    `{"name":"undo","title":"Undo a change","description":"Propose to take back an applied change, if its rows are `,
    `still as it left them. It needs the same approval.","inputSchema":{"type":"object",`,
    `"properties":{"change":{"type":"string","minLength":1,"maxLength":100,"description":"id of the change"},`,
    `"reason":{"type":"string","minLength":1,"maxLength":2000}},"required":["change","reason"],`,
    `"additionalProperties":false},"annotations":{"readOnlyHint":false,"destructiveHint":true,"openWorldHint":false}}`,
  ],
];

/** The expected value of `tools` in the answer, in both eras. */
export const TOOLS_JSON = `[${TOOLS.map((pieces) => pieces.join("")).join(",")}]`;
