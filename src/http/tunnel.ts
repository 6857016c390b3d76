/**
 * The socket that an 'upgrade' listener gets where Apache relays the bytes: under TLS and HTTP/2. A
 * Duplex whose two halves are the frames of an exchange.
 */
import type { WriteCallback } from './internals.ts';
import { ExchangeSocket } from './socket.ts';
import type { UpgradeExchange } from './upgrade.ts';

export class TunnelSocket extends ExchangeSocket {
  readonly exchange: UpgradeExchange;
  #isPaused = false;

  constructor(exchange: UpgradeExchange) {
    super();
    this.exchange = exchange;
  }

  /** Bytes of the client. */
  receive(chunk: Buffer): void {
    this.bytesRead += chunk.length;
    this.touch();
    if (this.push(chunk) || this.#isPaused) return;
    this.#isPaused = true;
    if (this.exchange.isOpen) this.exchange.channel.pause(this.exchange.id);
  }

  /** The client has ended its half. As net.Socket: 'end' comes also where nobody reads. */
  receiveEnd(): void {
    this.push(null);
    this.read(0);
  }

  override _read(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.exchange.isOpen) this.exchange.channel.resume(this.exchange.id);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void {
    this.touch();
    this.bytesWritten += chunk.length;
    this.exchange.writeRaw(chunk, callback);
  }

  override _final(callback: WriteCallback): void {
    this.exchange.endRaw();
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    callback(error);
    this.exchange.socketDestroyed(error);
    process.nextTick(emitClose, this, error !== null);
  }

  /** Called by net.Socket's timer. */
  _onTimeout(): void {
    this.emit('timeout');
  }
}

Reflect.deleteProperty(TunnelSocket.prototype, 'constructor');

function emitClose(socket: TunnelSocket, hadError: boolean): void {
  socket.emit('close', hadError);
}
