const body = Buffer.alloc(100_000, 'abcdefghij');
export default {
  fetch: () => new Response(body, { headers: { 'content-type': 'text/plain' } }),
};
