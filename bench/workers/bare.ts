// A Worker that gives a JSON body back.
export default {
  async fetch(request: Request): Promise<Response> {
    return Response.json(await request.json());
  },
};
