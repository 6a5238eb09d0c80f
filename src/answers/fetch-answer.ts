// Defines the answer of the tool fetch, in the shape that ChatGPT's connectors expect.

/** A fetched document, dataset, row, result or saved query. */
export interface FetchAnswer {
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly url: string;
  readonly metadata: Readonly<Record<string, string | number | readonly string[]>>;
}
