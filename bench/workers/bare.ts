// A Worker that returns the JSON body unchanged: the least that a request can cost.
export default {
  async fetch(request: Request): Promise<Response> {
    return Response.json(await request.json());
  },
};
