/** What must not grow: the cost of a request, with the number of workers, groups and virtual hosts. */
import type { Contender } from './contenders.ts';
import { staticFile, tsgi } from './contenders.ts';
import { ASKED_HOST } from './loads.ts';
import { serveByApache, type Apache } from './servers/apache.ts';
import { appFile } from './servers/backend.ts';

function grown(name: string, title: string, apache: Apache): Contender {
  return {
    name,
    title,
    loads: ['growth'],
    needs: [],
    start: (setting, directory) => serveByApache(apache, setting, directory),
  };
}

const withWorkers = (count: number): Apache => tsgi('callable.js', count);

/** Each has its supervisor and its worker. The first is asked. */
const withGroups = (count: number): Apache => ({
  ...tsgi('callable.js', 1),
  config: (setting) =>
    Array.from({ length: count - 1 }, (_, i) => {
      const group = `TSGIDaemonProcess other${i}\n`;
      return `${group}TSGIScriptAlias /other${i} ${appFile(setting.app, 'callable.js')} process-group=other${i}\n`;
    }).join('') + tsgi('callable.js', 1).config(setting),
});

/** The last one is asked: httpd compares the names one after the other. */
const hosts = (count: number, config: string): string =>
  Array.from({ length: count }, (_, i) => {
    const name = i === count - 1 ? ASKED_HOST : `host${i}.localhost`;
    return `<VirtualHost *:@PORT@>
ServerName ${name}
${config}
</VirtualHost>
`;
  }).join('');

/** All share a worker, under one name of an application group. */
const withHosts = (count: number): Apache => ({
  ...tsgi('callable.js', 1),
  config: ({ app }) =>
    'TSGIDaemonProcess bench\n' +
    hosts(
      count,
      `TSGIScriptAlias / ${appFile(app, 'callable.js')} process-group=bench application-group=%{GLOBAL}`,
    ),
});

/** What httpd itself pays for them. */
const filesWithHosts = (count: number): Apache => ({
  ...staticFile,
  config: (setting) => staticFile.config(setting) + hosts(count, ''),
});

export const growths: readonly Contender[] = [
  grown('workers-1', '1 worker', withWorkers(1)),
  grown('workers-8', '8 workers', withWorkers(8)),
  { ...grown('groups-1', '1 group', withGroups(1)), isSlow: true }, // it is there for the next one
  { ...grown('groups-50', '50 groups', withGroups(50)), isSlow: true },
  grown('vhosts-1', '1 virtual host', withHosts(1)),
  grown('vhosts-1000', '1 000 virtual hosts', withHosts(1000)),
  grown('file-vhosts-1', 'a file, 1 virtual host', filesWithHosts(1)),
  grown('file-vhosts-1000', 'a file, 1 000 virtual hosts', filesWithHosts(1000)),
];
