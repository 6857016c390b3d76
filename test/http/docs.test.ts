import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import { validator } from '../../src/index.ts';
import type { Application } from '../../src/types.ts';
import type { FakeExchange, RequestSpec } from './fake-channel.ts';
import { makeHost } from './fake-channel.ts';

/** The blocks of docs/tsgi.md that are applications, in their order. */
const sources = [...readFileSync('docs/tsgi.md', 'utf8').matchAll(/^```js\n(.*?)^```$/gms)]
  .map((match) => match[1] ?? '')
  .filter((source) => source.includes('application'));

async function run(source: string | undefined, spec: RequestSpec): Promise<FakeExchange> {
  const url = `data:text/javascript,${encodeURIComponent(source ?? '')}`;
  const { application } = (await import(url)) as { application: Application };
  return makeHost({ kind: 'callable', application: validator(application) }).channel.request(spec);
}

describe('the examples of docs/tsgi.md', () => {
  const expected: [string, RequestSpec, number, string][] = [
    ['hello', { url: '/Eve' }, 200, 'Hello from /Eve\n'],
    ['a body that is read', { body: ['12', '345'] }, 200, '5 bytes\n'],
    ['an error page', { url: '/?{' }, 400, 'The query is not JSON.\n'],
    ['a stream of events', {}, 200, 'data: 1\n\ndata: 2\n\ndata: 3\n\n'],
    ['middleware', {}, 200, 'Hello\n'],
  ];

  it('are all known here', () => {
    expect(sources).to.have.lengthOf(expected.length);
  });

  expected.forEach(([name, spec, status, body], i) => {
    it(`run: ${name}`, async () => {
      const exchange = await run(sources[i], spec);
      expect([exchange.status, exchange.body]).to.deep.equal([status, body]);
    });
  });
});
