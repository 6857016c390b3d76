/** Certificates for tests: made anew for each, so that none can expire or leak. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Httpd } from './httpd.ts';

/** A virtual host's directives, with the files of makeCertificate(). */
export const TLS = `SSLEngine On
  SSLCertificateFile "@ROOT@/cert.pem"
  SSLCertificateKeyFile "@ROOT@/key.pem"`;

/**
 * Makes cert.pem and key.pem for localhost in the server's directory, and announces what httpd says of
 * them: a certificate that is its own CA, no session cache, another patch level of OpenSSL.
 * @returns the certificate, for clients that shall trust it.
 */
export function makeCertificate(httpd: Httpd): Buffer {
  const key = join(httpd.dir, 'key.pem');
  const certificate = join(httpd.dir, 'cert.pem');
  const args =
    'req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1';
  execFileSync('openssl', [...args.split(' '), '-keyout', key, '-out', certificate], {
    stdio: 'ignore',
  });
  execFileSync('chmod', ['644', key]); // a key for this test only
  httpd.log.allow(/AH01906|AH01909|AH02217|AH02218|AH02604|AH01873|AH01882/);
  return readFileSync(certificate);
}

/** The modules that it needs. */
export const tlsModules = ['ssl', 'http2', 'socache_shmcb'] as const;

/** A virtual host for TLS beside plain HTTP. `port` comes from freePort(). */
export const tlsHost = (port: number): string => `
SSLSessionCache none
Listen 127.0.0.1:${String(port)}
<VirtualHost 127.0.0.1:${String(port)}>
  ServerName localhost
  ${TLS}
</VirtualHost>
`;
