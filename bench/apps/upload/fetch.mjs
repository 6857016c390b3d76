export default {
  async fetch(request) {
    let length = 0;
    for await (const chunk of request.body ?? []) length += chunk.length;
    return new Response(String(length), { headers: { 'content-type': 'text/plain' } });
  },
};
