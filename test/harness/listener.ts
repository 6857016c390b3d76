/** A listening unix socket for another process. */
import { once } from 'node:events';
import { renameSync } from 'node:fs';
import { createServer } from 'node:net';

export interface Listener {
  /** To be inherited by who is to accept. */
  readonly fd: number;
  /** Closes this process's descriptor; the socket stays at its path. */
  release(): void;
}

export async function listenAt(path: string): Promise<Listener> {
  const made = `${path}.made`;
  const server = createServer();
  server.listen(made);
  await once(server, 'listening');
  // Closing the server removes the name that it knows.
  renameSync(made, path);
  return {
    // Node keeps it in the server's handle.
    fd: (server as unknown as { _handle: { fd: number } })._handle.fd,
    release: () => server.close(),
  };
}
