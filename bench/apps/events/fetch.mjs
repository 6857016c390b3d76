import clients from './ticker.js';
const encoder = new TextEncoder();
export default {
  fetch() {
    let send;
    const body = new ReadableStream({
      start(controller) {
        send = (event) => controller.enqueue(encoder.encode(event));
        clients.add(send);
      },
      cancel() {
        clients.delete(send);
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  },
};
