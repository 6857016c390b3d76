import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { tsgi } from '../../src/tsgi.ts';
import { root } from '../harness/place.ts';
import { TestGroup } from './harness.ts';

const packageUrl = pathToFileURL(join(root, 'dist/index.js')).href;
const source = `
import http from 'node:http';
import { tsgi } from '${packageUrl}';
const { isHosted, processGroup, applicationGroup, workerIndex, workers } = tsgi;
tsgi.on('drain', ({ reason, timeoutMs }) => console.log('drain', reason, timeoutMs));
tsgi.on('shutdown', () => console.log('shutdown'));
http
  .createServer((req, res) => {
    const answer = () => res.end(JSON.stringify([isHosted, processGroup, applicationGroup, workerIndex, workers]));
    if (req.url === '/slow') setTimeout(answer, 300, console.log('slow'));
    else answer();
  })
  .listen(3000);
`;

describe('the tsgi object of the package', () => {
  let group: TestGroup;
  beforeEach(() => {
    group = new TestGroup(['graceful-timeout=9000']);
  });
  afterEach(() => group.stop());

  it('tells an app which worker it runs in', async () => {
    const script = group.write('app.mjs', source);
    const [, socket = ''] = group.app('site', [script], { slots: 2 });
    const { body } = await group.ask(socket, script);
    expect(JSON.parse(body)).to.deep.equal([true, 'test', 'site', 1, 2]);
  });

  it('tells it that it drains, and when nothing is in hand any more', async () => {
    const { socket, script } = group.serve('app.mjs', source);
    const slow = group.ask(socket, script, '/slow');
    await group.logged(/out slow$/);
    process.kill(group.pid, 'SIGHUP');
    await group.logged(/out drain reload 9000$/);
    expect((await slow).body).to.contain('true');
    await group.logged(/out shutdown$/);
    const at = (pattern: RegExp) => group.log.findIndex((line) => pattern.test(line));
    expect(at(/out drain/)).to.be.lessThan(at(/out shutdown/));
  });

  it('is silent where the app is not hosted', () => {
    tsgi.on('drain', () => expect.fail('nobody drains'));
    const { isHosted, processGroup, workerIndex, workers } = tsgi;
    expect([isHosted, processGroup, workerIndex, workers]).to.deep.equal([false, undefined, 0, 1]);
  });
});
