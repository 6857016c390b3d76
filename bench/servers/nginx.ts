/** nginx before node on a unix socket, with kept connections. */
import { writeFileSync } from 'node:fs';
import { freePort } from '../../test/harness/httpd.ts';
import { end, launch } from '../ending.ts';
import { asOrdinary, scratch, startNode } from './backend.ts';
import { certificateIn } from './certificate.ts';
import { split, urlOf, type Running, type Setting } from './running.ts';

function configuration(setting: Setting, port: number, own: string, shared: string): string {
  const { certificate, key } = certificateIn(shared);
  const secure = `ssl_certificate ${certificate}; ssl_certificate_key ${key};`;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off;
worker_processes 2;
pid ${own}/pid;
error_log ${own}/error.log warn;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  ${temporary.map((name) => `${name}_temp_path ${own}/${name};`).join('\n  ')}
  upstream app { server unix:${own}/socket; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port}${{ http: '', https: ' ssl', h2: ' ssl http2' }[setting.transport]};
    ${setting.transport === 'http' ? '' : secure}
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
    }
  }
}
`;
}

export async function serveByNginx(
  setting: Setting,
  file: string,
  directory: string,
): Promise<Running> {
  const port = await freePort();
  const own = scratch();
  writeFileSync(`${own}/nginx.conf`, configuration(setting, port, own, directory));
  const startedAt = performance.now();
  const node = startNode(setting, file, `${own}/socket`);
  const nginx = launch('nginx', ['-p', own, '-e', `${own}/error.log`, '-c', `${own}/nginx.conf`], {
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true, // see startBackend()
    ...asOrdinary,
  });
  return {
    startedAt,
    url: urlOf(setting, port),
    processes: () => ({
      front: split([nginx.pid ?? 0], () => false).front,
      back: split([node.pid ?? 0], () => true).back,
    }),
    async stop() {
      await end(nginx);
      await end(node);
    },
  };
}
