// What fetch gives of anything: the shape that ChatGPT's connectors expect.

export interface FetchAnswer {
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly url: string;
  readonly metadata: Readonly<Record<string, string | number | readonly string[]>>;
}
