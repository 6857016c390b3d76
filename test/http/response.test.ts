import { expect } from 'chai';

import { waitFor } from '../harness/wait.ts';
import { channelOf } from './listeners.ts';

describe('a response', () => {
  it('waits for drain when the client does not read', async () => {
    const log: string[] = [];
    const channel = channelOf((_req, res) => {
      log.push(`small ${res.write('x')}`);
      log.push(`large ${res.write(Buffer.alloc(70_000), () => log.push('written'))}`);
      log.push(`length ${res.writableLength >= 70_000} ${res.writableNeedDrain}`);
      res.on('drain', () => {
        log.push(`drain ${res.writableLength}`);
        res.end();
      });
    });
    channel.isStalled = true;
    const exchange = channel.queue();
    channel.deliver();
    await new Promise(setImmediate);
    expect(log).to.deep.equal(['small true', 'large false', 'length true true']);
    channel.isStalled = false;
    channel.leave(exchange);
    channel.deliver();
    await waitFor(() => exchange.isDead);
    expect(log.slice(3)).to.deep.equal(['drain 0', 'written']);
  });

  it('says finish when its last byte has left, and not before', async () => {
    const log: string[] = [];
    const channel = channelOf((_req, res) => {
      res.on('finish', () => log.push('finish'));
      res.on('close', () => log.push('close'));
      res.end('x', () => log.push('callback'));
    });
    channel.isStalled = true;
    const exchange = channel.queue();
    channel.deliver();
    await new Promise(setImmediate);
    expect(log).to.deep.equal([]);
    channel.leave(exchange);
    channel.deliver();
    await waitFor(() => log.includes('close'));
    // Node 26 calls back before it emits.
    expect(log.slice(0, 2)).to.have.members(['finish', 'callback']);
    expect(log[2]).to.equal('close');
  });

  it('sends header values in the bytes in which Node sends them: UTF-8 with text, else latin1', async () => {
    const text = channelOf((_req, res) => res.setHeader('X-Name', 'é').end('žluťoučký'));
    const withText = await text.request();
    expect(withText.header('X-Name')).to.equal(Buffer.from('é').toString('latin1'));
    expect(withText.body).to.equal('žluťoučký');
    const bytes = channelOf((_req, res) => res.setHeader('X-Name', 'é').end(Buffer.from('x')));
    expect((await bytes.request()).header('X-Name')).to.equal('é');
  });

  it('with a status that is none is a failure of the app', async () => {
    const channel = channelOf((_req, res) => res.writeHead(150).end());
    expect((await channel.request()).aborted?.code).to.equal(714);
  });

  it('by hand that is no HTTP is a failure of the app', async () => {
    const channel = channelOf((_req, res) => res.socket?.write('220 smtp.example\r\n\r\n'));
    expect((await channel.request()).aborted?.code).to.equal(713);
  });

  it('by hand goes on after a head that left through res', async () => {
    const channel = channelOf((_req, res) => {
      res.writeHead(200, { 'Content-Length': 5 });
      res.flushHeaders();
      res.socket?.end('hello');
    });
    expect((await channel.request()).body).to.equal('hello');
  });

  it('by hand waits for the client as every stream does', async () => {
    const log: string[] = [];
    const channel = channelOf((_req, res) => {
      const socket = res.socket!;
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      log.push(String(socket.write(Buffer.alloc(100_000))));
      socket.once('drain', () => {
        log.push('drain');
        socket.end();
      });
    });
    const exchange = await channel.request();
    expect(log).to.deep.equal(['false', 'drain']);
    expect(exchange.body).to.have.lengthOf(100_000);
  });
});
