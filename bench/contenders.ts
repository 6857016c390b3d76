/** Who is measured: the same app behind, inside or without Apache. */
import type { ChildProcess } from 'node:child_process';
import { serveByApache, type Apache } from './servers/apache.ts';
import { appFile, serveByNode, startNode, startUwsgi } from './servers/backend.ts';
import { serveByNginx } from './servers/nginx.ts';
import type { Running, Setting } from './servers/running.ts';
import { freePort, ordinary } from '../test/harness/httpd.ts';
import { place } from '../test/harness/place.ts';
import type { LoadName } from './loads.ts';
import type { ToolName } from './packages.ts';

export interface Contender {
  /** For --only, and in the results. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  readonly loads: readonly LoadName[];
  /** What has to be installed for it. */
  readonly needs: readonly ToolName[];
  /** Left out of quick runs: it takes too long to start. */
  readonly isSlow?: boolean;
  /** @param directory of the run, for what all servers share */
  start(setting: Setting, directory: string): Promise<Running>;
}

const EVERY: readonly LoadName[] = ['hello', 'download', 'upload', 'tls', 'h2', 'events', 'alone'];
const HELLO: readonly LoadName[] = ['hello', 'alone'];
const WITHOUT_TLS = EVERY.filter((load) => load !== 'tls' && load !== 'h2');
const WITHOUT_EVENTS = EVERY.filter((load) => load !== 'events');
const PYTHON = WITHOUT_TLS.filter((load) => load !== 'events');

function byApache(
  name: string,
  title: string,
  loads: readonly LoadName[],
  apache: Apache,
  needs: readonly ToolName[] = [],
): Contender {
  return {
    name,
    title,
    loads,
    needs,
    start: (setting, directory) => serveByApache(apache, setting, directory),
  };
}

const overUnix = (file: string): Apache => ({
  modules: ['proxy', 'proxy_http'],
  config: () => 'ProxyPass / unix:@BACKEND@|http://localhost/ retry=0\n',
  backend: (setting, socket): ChildProcess => startNode(setting, file, socket),
});

/** Its backend's port has to be known before the configuration is written. */
const overTcp: Contender = {
  name: 'proxy-tcp',
  title: 'mod_proxy_http → node, TCP',
  loads: EVERY,
  needs: [],
  async start(setting, directory) {
    const port = String(await freePort());
    const apache: Apache = {
      modules: ['proxy', 'proxy_http'],
      config: () => `ProxyPass / http://127.0.0.1:${port}/ retry=0\n`,
      backend: (own) => startNode(own, 'server.js', port),
    };
    return await serveByApache(apache, setting, directory);
  },
};

const wsgi = (daemon: boolean): Apache => ({
  modules: ['wsgi'],
  config: ({ app }) =>
    daemon
      ? `WSGISocketPrefix @ROOT@/run/wsgi
WSGIDaemonProcess bench processes=2 threads=15 display-name=(wsgi:bench) home=@ROOT@
WSGIScriptAlias / ${appFile(app, 'app.py')} process-group=bench application-group=%{GLOBAL}
`
      : `WSGIScriptAlias / ${appFile(app, 'app.py')} application-group=%{GLOBAL}\n`,
  isBack: ({ title }) => title.includes('(wsgi:bench)'),
});

const passenger = (file: string): Apache => ({
  modules: ['passenger'],
  config: ({ app, node }) => `
PassengerRoot /usr/lib/ruby/vendor_ruby/phusion_passenger/locations.ini
PassengerDefaultRuby /usr/bin/ruby
PassengerNodejs ${node}
PassengerUserSwitching off
PassengerDefaultUser ${ordinary.name}
PassengerInstanceRegistryDir @ROOT@/run
PassengerDisableSecurityUpdateCheck on
PassengerDisableAnonymousTelemetry on
PassengerLogLevel 1
PassengerMaxPoolSize 1
PassengerMinInstances 1
PassengerMaxRequestQueueSize 0
PassengerEnabled on
PassengerAppRoot ${place()}/bench/apps
PassengerAppType node
PassengerStartupFile ${app}/${file}
`,
  isBack: ({ title }) => title.startsWith('Passenger NodeApp'),
});

/** The app in `workers` workers; `more` adds to the configuration. */
export const tsgi = (file: string, workers: number, more = ''): Apache => ({
  tsgi: true,
  config: ({ app }) =>
    `TSGIDaemonProcess bench processes=${workers}
TSGIScriptAlias / ${appFile(app, file)} process-group=bench
${more}`,
  isBack: ({ title }) => /^tsgi: (worker|supervisor)/.test(title),
});

interface Flavour {
  readonly name: string;
  readonly title: string;
  readonly file: string;
  readonly loads: readonly LoadName[];
}
const flavours: readonly Flavour[] = [
  { name: 'callable', title: 'callable', file: 'callable.js', loads: EVERY },
  { name: 'server', title: '(req, res)', file: 'server.js', loads: EVERY },
  { name: 'fetch', title: 'fetch', file: 'fetch.mjs', loads: EVERY },
  { name: 'express', title: 'Express', file: 'express.js', loads: HELLO },
  { name: 'fastify', title: 'Fastify', file: 'fastify.js', loads: HELLO },
];

/** With one worker and with two. One broadcasts to all its clients; two would do it twice. */
const tsgis = flavours.flatMap(({ name, title, file, loads }) => [
  byApache(`tsgi-${name}`, `mod_tsgi, ${title}`, loads, tsgi(file, 1)),
  byApache(
    `tsgi-${name}-2`,
    `mod_tsgi, ${title}, 2 workers`,
    loads.filter((load) => load !== 'events'),
    tsgi(file, 2),
  ),
]);

const byNginx = (
  name: string,
  title: string,
  loads: readonly LoadName[],
  file: string,
): Contender => ({
  name,
  title,
  loads,
  needs: ['nginx'],
  start: (setting, directory) => serveByNginx(setting, file, directory),
});

const byNode = (
  name: string,
  title: string,
  loads: readonly LoadName[],
  file: string,
): Contender => ({
  name,
  title,
  loads,
  needs: [],
  start: (setting) => serveByNode(setting, file),
});

/** What an idle group costs beside another one; for the loads that measure a server alone. */
const onDemand = byApache(
  'tsgi-on-demand',
  'mod_tsgi, (req, res), and an idle on-demand group',
  ['alone'],
  {
    ...tsgi('server.js', 1),
    config: (setting) =>
      `TSGIDaemonProcess idle start=on-demand
TSGIScriptAlias /idle ${appFile(setting.app, 'callable.js')} process-group=idle
${tsgi('server.js', 1).config(setting)}`,
  },
);

export const staticFile: Apache = {
  files: { hello: 'Hello, world!', download: 'abcdefghij'.repeat(10_000) },
  config: () => '<Directory @ROOT@/htdocs>\nForceType text/plain\n</Directory>\n',
};
const uwsgi: Apache = {
  modules: ['proxy', 'proxy_uwsgi'],
  config: () => 'ProxyPass / unix:@BACKEND@|uwsgi://localhost/ retry=0\n',
  backend: startUwsgi,
};
/** A file that mod_include serves takes POST as well: httpd reads the body and throws it away. */
const discarding: Apache = {
  modules: ['include'],
  files: { upload: 'thrown away' },
  config: () =>
    '<Directory @ROOT@/htdocs>\nOptions +Includes\nSetOutputFilter INCLUDES\nForceType text/plain\n</Directory>\n',
};
const STATIC = WITHOUT_EVENTS.filter((load) => load !== 'upload');

/** In the order of the rounds. */
export const contenders: readonly Contender[] = [
  byApache('static', 'Apache, static file', STATIC, staticFile),
  byApache('discard', 'Apache alone, throws uploads away', ['upload'], discarding),
  overTcp,
  byApache('proxy-unix', 'mod_proxy_http → node, unix', EVERY, overUnix('server.js')),
  byApache('proxy-uwsgi', 'mod_proxy_uwsgi → uWSGI (Python)', PYTHON, uwsgi, ['uwsgi']),
  byApache('wsgi-daemon', 'mod_wsgi, daemon (Python)', PYTHON, wsgi(true), ['mod_wsgi']),
  byApache('wsgi-embedded', 'mod_wsgi, embedded (Python)', PYTHON, wsgi(false), ['mod_wsgi']),
  byApache('passenger', 'Passenger → node', EVERY, passenger('server.js'), ['passenger']),
  byNginx('nginx', 'nginx → node, unix', EVERY, 'server.js'),
  byNode('node', 'node alone', WITHOUT_TLS, 'server.js'),
  ...tsgis,
  onDemand,
  byApache('express-proxy', 'mod_proxy_http → Express, unix', HELLO, overUnix('express.js')),
  byApache('express-passenger', 'Passenger → Express', HELLO, passenger('express.js'), [
    'passenger',
  ]),
  byNginx('express-nginx', 'nginx → Express, unix', HELLO, 'express.js'),
  byNode('express-node', 'Express alone', HELLO, 'express.js'),
];
