// A TypeScript entry, loaded as it stands.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
interface Greeting {
  readonly word: string;
}
const greeting: Greeting = { word: 'typed' };
createServer((_req: IncomingMessage, res: ServerResponse) => {
  res.end(greeting.word satisfies string);
}).listen(3000);
