/** A server certificate for a private httpd, which is its own authority. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Httpd } from './httpd.ts';

/** To be loaded. */
export const tlsModules = ['ssl', 'http2', 'socache_shmcb'] as const;

const ENGINE = `
SSLEngine On
SSLCertificateFile "@ROOT@/cert.pem"
SSLCertificateKeyFile "@ROOT@/key.pem"
`;
const SESSIONS = 'SSLSessionCache none\n'; // of the whole server

/** For a server that speaks nothing else. */
export const tlsConfig = SESSIONS + ENGINE;

/** A virtual host of its own for TLS, beside plain HTTP. `port` comes from freePort(). */
export const tlsHost = (port: number): string => `
${SESSIONS}Listen 127.0.0.1:${String(port)}
<VirtualHost 127.0.0.1:${String(port)}>
  ServerName localhost
  ${ENGINE}
</VirtualHost>
`;

/** Makes it, and announces what httpd has to say about such a one. @returns it. */
export function makeCertificate(httpd: Httpd): Buffer {
  const args =
    'req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1';
  const files = ['-keyout', `${httpd.dir}/key.pem`, '-out', `${httpd.dir}/cert.pem`];
  execFileSync('openssl', [...args.split(' '), ...files], { stdio: 'ignore' });
  execFileSync('chmod', ['644', `${httpd.dir}/key.pem`]); // a key for this test only
  // A certificate that is its own CA, no session cache, another patch level of OpenSSL than at compile time.
  httpd.log.allow(/AH01906|AH01909|AH02217|AH02218|AH02604|AH01873|AH01882/);
  return readFileSync(`${httpd.dir}/cert.pem`);
}
