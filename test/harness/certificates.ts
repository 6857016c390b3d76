/** Certificates for one suite, made when it begins; they are valid for two days and nobody knows them. */
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'ignore' });
}

function files(dir: string, name: string): { certFile: string; keyFile: string } {
  return { certFile: join(dir, `${name}cert.pem`), keyFile: join(dir, `${name}key.pem`) };
}

function read(dir: string, name: string): Certificate {
  const { certFile, keyFile } = files(dir, name);
  chmodSync(keyFile, 0o644); // httpd may run as another user; it is a key for this suite only
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
}

/** `<name>cert.pem` and `<name>key.pem`, signed by itself, for localhost and 127.0.0.1. */
export function selfSigned(dir: string, name = '', subject = '/CN=localhost'): Certificate {
  const { certFile, keyFile } = files(dir, name);
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1';
  const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', keyFile, '-out', certFile];
  openssl('req', '-x509', ...key, '-days', '2', '-subj', subject, '-addext', names);
  return read(dir, name);
}

/** The same, signed by another one in `dir`. */
export function signedBy(
  dir: string,
  issuer: string,
  name: string,
  subject: string,
  extensions: readonly string[] = [],
): Certificate {
  const { certFile, keyFile } = files(dir, name);
  const authority = files(dir, issuer);
  const request = join(dir, `${name}request.pem`);
  const config = join(dir, `${name}extensions.cnf`);
  writeFileSync(config, `${extensions.join('\n')}\n`);
  const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', keyFile];
  openssl('req', '-new', ...key, '-out', request, '-subj', subject);
  const signer = ['-CA', authority.certFile, '-CAkey', authority.keyFile, '-CAcreateserial'];
  const signed = ['-in', request, '-out', certFile, '-days', '2', '-extfile', config];
  openssl('x509', '-req', ...signer, ...signed);
  return read(dir, name);
}
