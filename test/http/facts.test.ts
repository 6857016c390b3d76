import { expect } from 'chai';

import { IncomingMessage } from 'node:http';
import { inspect } from 'node:util';
import { waitFor } from '../harness/wait.ts';
import { channelOf, hostOf } from './listeners.ts';

describe('req.tsgi', () => {
  it('tells what Apache knows', async () => {
    let facts: IncomingMessage['tsgi'];
    const channel = channelOf((req, res) => {
      facts = req.tsgi;
      req.tsgi?.log(4, 'first\nsecond');
      res.end();
    });
    const exchange = await channel.request({
      mount: '/caf%C3%A9',
      url: '/x?q=1',
      scheme: 'https',
      remoteUser: 'josé',
      script: '/srv/app/é.js',
      variables: [
        ['SSL_PROTOCOL', 'TLSv1.3'],
        ['__proto__', 'harmless'],
        ['NAME', 'žluť'],
      ],
    });
    expect(facts).to.include({
      mode: 'daemon',
      processGroup: 'shop',
      applicationGroup: 'example.test|/',
      requestId: 'request-1',
      scriptName: '/café',
      pathInfo: '/x',
      scriptFilename: '/srv/app/é.js',
      uri: '/caf%C3%A9/x?q=1',
      scheme: 'https',
      serverName: 'example.test',
      serverPort: 80,
      documentRoot: '/srv/htdocs',
      remoteUser: 'josé',
      authType: 'Basic',
    });
    expect(Object.getPrototypeOf(facts?.env)).to.equal(null);
    expect(JSON.parse(JSON.stringify(facts))).to.include({ scriptName: '/café', serverPort: 80 });
    expect(inspect(facts))
      .to.match(/TLSv1\.3/)
      .and.not.match(/AbortSignal/);
    expect(Object.entries(facts?.env ?? {})).to.deep.equal([
      ['SSL_PROTOCOL', 'TLSv1.3'],
      ['__proto__', 'harmless'],
      ['NAME', 'žluť'],
    ]);
    expect(exchange.logs).to.deep.equal([
      { level: 4, text: 'first' },
      { level: 4, text: 'second' },
    ]);
  });

  it('logs with the request id when the request is over', async () => {
    let facts: IncomingMessage['tsgi'];
    const { channel, lines } = hostOf((req, res) => {
      facts = req.tsgi;
      res.end();
    });
    await channel.request();
    facts?.log(5, 'late');
    expect(lines).to.deep.equal([{ level: 5, text: '[request request-1] late' }]);
  });

  it('leaves the signal of Node 26 alone when the response was whole', async function () {
    if (!('signal' in IncomingMessage.prototype)) return;
    let signal: AbortSignal | undefined;
    let isClosed = false;
    const channel = channelOf((req, res) => {
      signal = Reflect.get(req, 'signal') as AbortSignal;
      req.socket.on('close', () => (isClosed = true));
      res.end();
    });
    await channel.request();
    await waitFor(() => isClosed);
    expect(signal?.aborted).to.equal(false);
  });
});
