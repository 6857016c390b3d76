// The first example of ws: its own server on a port. Requests that are no WebSockets get 426.
import { WebSocketServer } from 'ws';

const wss = new WebSocketServer({
  port: Number(process.env.PORT ?? 8080),
  // Where it is mounted, if not at the root.
  path: `${process.env.BASE_PATH ?? ''}/`,
});

wss.on('connection', (ws) => {
  ws.on('error', console.error);
  ws.on('message', (data, binary) => {
    ws.send(data, { binary });
  });
});
