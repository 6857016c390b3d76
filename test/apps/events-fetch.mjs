// Event streams, by a fetch handler.
import { events, go } from './events.cjs';

export default {
  fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    const id = searchParams.get('id');
    if (pathname === '/go') return new Response(go(id));
    return new Response(ReadableStream.from(events(id)).pipeThrough(new TextEncoderStream()), {
      headers: { 'Content-Type': searchParams.get('type') ?? 'text/event-stream' },
    });
  },
};
