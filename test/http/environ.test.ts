import { expect } from 'chai';
import { FLAG_EXPECT } from '../../src/events.ts';
import type { Environ } from '../../src/types.ts';
import { waitFor } from '../harness/wait.ts';
import { call, environOf, hostOf, OK } from './callables.ts';

describe('environ', () => {
  it('holds the CGI variables of the request', async () => {
    const environ = await environOf({
      mount: '/caf%C3%A9',
      url: '/a%20b?q=1',
      method: 'PUT',
      scheme: 'https',
      remoteUser: 'alice',
      headers: [
        ['Host', 'example.test'],
        ['Content-Type', 'text/plain'],
        ['Content-Length', '2'],
        ['Accept-Language', 'cs'],
      ],
      body: ['hi'],
    });
    expect(environ).to.include({
      REQUEST_METHOD: 'PUT',
      SCRIPT_NAME: '/café',
      PATH_INFO: '/a b',
      QUERY_STRING: 'q=1',
      REQUEST_URI: '/caf%C3%A9/a%20b?q=1',
      REQUEST_SCHEME: 'https',
      CONTENT_TYPE: 'text/plain',
      CONTENT_LENGTH: '2',
      SERVER_NAME: 'example.test',
      SERVER_PORT: '80',
      SERVER_ADDR: '192.0.2.1',
      SERVER_PROTOCOL: 'HTTP/1.1',
      SERVER_SOFTWARE: 'Apache/2.4.71 (Unix)',
      DOCUMENT_ROOT: '/srv/htdocs',
      SCRIPT_FILENAME: '/srv/app/index.js',
      REMOTE_ADDR: '192.0.2.7',
      REMOTE_PORT: '50123',
      REMOTE_USER: 'alice',
      AUTH_TYPE: 'Basic',
      HTTP_HOST: 'example.test',
      HTTP_ACCEPT_LANGUAGE: 'cs',
    });
    expect(environ).to.not.have.any.keys('HTTP_CONTENT_TYPE', 'HTTP_CONTENT_LENGTH');
  });

  it('holds what the host is', async () => {
    const environ = await environOf({});
    expect(environ['tsgi.version']).to.deep.equal([1, 0]);
    expect(environ).to.include({
      'tsgi.url_scheme': 'http',
      'tsgi.process_group': 'shop',
      'tsgi.application_group': 'example.test|/',
      'tsgi.mode': 'daemon',
      'tsgi.multiprocess': false,
      'tsgi.multithread': false,
      'tsgi.run_once': false,
      'tsgi.request_id': 'request-1',
    });
    expect(environ).to.not.have.any.keys('REMOTE_USER', 'AUTH_TYPE', 'CONTENT_LENGTH');
  });

  it('joins headers of one name, cookies by semicolons', async () => {
    const environ = await environOf({
      headers: [
        ['Host', 'x'],
        ['X-Two', 'a'],
        ['x-two', 'b'],
        ['Cookie', 'a=1'],
        ['Cookie', 'b=2'],
        ['COOKIE', 'c=3'],
        ['cookie', 'd=4'],
      ],
    });
    expect(environ['HTTP_X_TWO']).to.equal('a, b');
    expect(environ['HTTP_COOKIE']).to.equal('a=1; b=2; c=3; d=4');
  });

  it('joins nothing of one request with another', async () => {
    for (const value of ['a=1', 'b=2']) {
      const environ = await environOf({ headers: [['Cookie', value]] });
      expect(environ['HTTP_COOKIE']).to.equal(value);
    }
  });

  it('lets no header pass for another one, nor for Proxy', async () => {
    const environ = await environOf({
      headers: [
        ['X_User', 'forged'],
        ['X.User', 'forged'],
        ['Proxy', 'http://evil.test'],
        ['__proto__', 'x'],
      ],
      variables: [['HTTP_PROXY', 'http://evil.test']],
    });
    expect(Object.keys(environ).filter((name) => name.startsWith('HTTP_'))).to.deep.equal([]);
    expect(environ['__proto__']).to.equal(undefined);
  });

  it('holds variables of Apache, which replace nothing', async () => {
    const environ = await environOf({
      variables: [
        ['SSL_PROTOCOL', 'TLSv1.3'],
        ['PATH_INFO', '/forged'],
        ['tsgi.process_group', ''],
        ['__proto__', 'text'],
        ['NAME', 'žluť'],
      ],
    });
    expect(environ).to.include({ SSL_PROTOCOL: 'TLSv1.3', PATH_INFO: '/', NAME: 'žluť' });
    expect(environ['tsgi.process_group']).to.equal('shop');
    expect(environ['__proto__']).to.equal('text');
    expect('toString' in environ).to.equal(false);
  });

  it('can be changed, and derived from', async () => {
    const environ = await environOf({});
    environ.PATH_INFO = '/changed';
    const derived = Object.create(environ) as Environ;
    expect(derived['tsgi.signal']).to.be.instanceOf(AbortSignal);
    const own = AbortSignal.abort();
    Object.assign(derived, { 'tsgi.signal': own });
    expect(derived['tsgi.signal']).to.equal(own);
    expect(environ['tsgi.signal'].aborted).to.equal(false);
  });
});

describe('tsgi.input', () => {
  it('is the request body', async () => {
    const exchange = await call(
      async (environ, start) => {
        let text = '';
        for await (const chunk of environ['tsgi.input']) text += String(chunk);
        start(200, OK);
        return text;
      },
      { body: ['hel', 'lo'] },
    );
    expect(exchange.body).to.equal('hello');
  });

  it('is empty where there is no body', async () => {
    const exchange = await call(async (environ, start) => {
      start(200, OK);
      return `<${(await environ['tsgi.input'].toArray()).join()}>`;
    });
    expect(exchange.body).to.equal('<>');
  });

  it('stops the body at Apache until it is read', async () => {
    let go: (() => void) | undefined;
    const { channel } = hostOf(async (environ, start) => {
      await new Promise<void>((resolve) => (go = resolve));
      start(200, OK);
      return String(Buffer.concat((await environ['tsgi.input'].toArray()) as Buffer[]).length);
    });
    const exchange = channel.queue({ body: [Buffer.alloc(100_000)], isOpen: true });
    channel.deliver();
    expect(exchange.isPaused).to.equal(true);
    go?.();
    await waitFor(() => !exchange.isPaused);
    channel.endBody(exchange);
    channel.deliver();
    await waitFor(() => exchange.isDead);
    expect(exchange.body).to.equal('100000');
  });

  it('lets an expected body come when it is first read, and not before', async () => {
    const spec = { flags: FLAG_EXPECT, body: ['hello'] };
    const read = await call(async (environ, start) => {
      start(200, OK);
      return (await environ['tsgi.input'].toArray()).join('');
    }, spec);
    const unread = await call((_environ, start) => {
      start(413);
      return 'too much';
    }, spec);
    expect([read.continues, read.body]).to.deep.equal([1, 'hello']);
    expect([unread.continues, unread.status]).to.deep.equal([0, 413]);
  });

  it('breaks off when the client leaves in the middle', async () => {
    let code: unknown;
    const { channel } = hostOf(async (environ, start) => {
      try {
        await environ['tsgi.input'].toArray();
      } catch (error) {
        code = (error as NodeJS.ErrnoException).code;
      }
      start(200, OK);
      return 'nobody reads this';
    });
    const exchange = channel.queue({ body: ['part'], isOpen: true });
    channel.deliver();
    channel.close(exchange);
    channel.deliver();
    await waitFor(() => code);
    expect(code).to.equal('ECONNRESET');
  });
});
