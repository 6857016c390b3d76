/** A certificate for the servers of the benchmarks, made once. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

/** Makes it in the directory, or finds it there. */
export function certificateIn(directory: string): Certificate {
  const certificate = join(directory, 'certificate.pem');
  const key = join(directory, 'key.pem');
  if (!existsSync(certificate)) {
    const args = 'req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost'.split(' ');
    execFileSync('openssl', [...args, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
    chmodSync(key, 0o644); // it protects nothing
  }
  return { certificate, key };
}
