/** Which http server is the app of which script, by its listen(): from the call to its close(). */
import type { Server } from 'node:http';
import type { Server as NetServer } from 'node:net';

interface Owner {
  readonly script: string;
  /** Node's count of listen() and close(): a close() before it listens makes the claim void. */
  readonly listeningId: number | undefined;
  /** As address() tells; undefined while it does not listen yet. */
  port: number | undefined;
}

function listeningIdOf(server: NetServer): number | undefined {
  return (server as { _listeningId?: number })._listeningId;
}

export class Servers {
  readonly #owners = new Map<NetServer, Owner>();
  /** Scripts whose server was closed. */
  readonly #closed = new Set<string>();

  has(server: Server): boolean {
    return this.#owners.has(server);
  }

  scriptOf(server: NetServer): string | undefined {
    return this.#owners.get(server)?.script;
  }

  /** The script has a server that listens, or is about to. */
  serves(script: string): boolean {
    for (const [server, owner] of this.#owners) {
      const isVoid = owner.port === undefined && owner.listeningId !== listeningIdOf(server);
      if (isVoid) this.#owners.delete(server);
      else if (owner.script === script) return true;
    }
    return false;
  }

  /** @returns the scripts among these whose server was closed, and that have no other. */
  closedOf(scripts: Iterable<string>): string[] {
    return [...scripts].filter((script) => this.#closed.has(script) && !this.serves(script));
  }

  /** listen() is about to be called. */
  claim(server: Server, script: string): void {
    const before = listeningIdOf(server);
    const listeningId = before === undefined ? undefined : before + 1;
    this.#owners.set(server, { script, listeningId, port: undefined });
  }

  /** @returns its script. */
  listens(server: Server, port: number): string | undefined {
    const owner = this.#owners.get(server);
    if (!owner) return undefined;
    owner.port = port;
    this.#closed.delete(owner.script);
    return owner.script;
  }

  /** It failed to listen. */
  release(server: Server): void {
    this.#owners.delete(server);
  }

  /** @returns its script; undefined if it was nobody's app. */
  close(server: Server): string | undefined {
    const script = this.scriptOf(server);
    this.#owners.delete(server);
    if (script !== undefined) this.#closed.add(script);
    return script;
  }

  /** An app listens on that port. */
  isServedAt(port: number): boolean {
    return port > 0 && [...this.#owners.values()].some((owner) => owner.port === port);
  }
}
