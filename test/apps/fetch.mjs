// A fetch handler.
export default {
  fetch(request) {
    return new Response(`fetch ${request.method} ${new URL(request.url).pathname}`, {
      headers: { 'Content-Type': 'text/plain' },
    });
  },
};
