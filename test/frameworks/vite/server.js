// Vite's own development server by its JavaScript API: what `vite dev` does.
import { createServer } from 'vite';

const server = await createServer({ root: import.meta.dirname });
await server.listen(Number(process.env.PORT ?? 5173));
server.printUrls();
