/** Reading /proc: who runs below whom, and as whom. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Process {
  readonly pid: number;
  readonly ppid: number;
  readonly state: string;
  /** The command line, or what the process made of it (process.title). */
  readonly title: string;
}

/** @returns undefined if there is no such process, or only its zombie. */
export function processOf(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
    const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (rest[0] === 'Z' || rest[0] === 'X') return undefined;
    const title = readFileSync(`/proc/${String(pid)}/cmdline`, 'utf8')
      .replaceAll('\0', ' ')
      .trim();
    return { pid, ppid: Number(rest[1]), state: rest[0] ?? '', title };
  } catch {
    return undefined;
  }
}

/** All processes below `pid`, not itself. */
export function descendants(pid: number): Process[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => processOf(Number(name)))
    .filter((p) => p !== undefined);
  const found: Process[] = [];
  const queue = [pid];
  for (let parent = queue.shift(); parent !== undefined; parent = queue.shift()) {
    for (const p of all) {
      if (p.ppid === parent) {
        found.push(p);
        queue.push(p.pid);
      }
    }
  }
  return found;
}

/** Fields of /proc/<pid>/status. */
export function statusOf(pid: number): Record<string, string> {
  const text = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  return Object.fromEntries(
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
  );
}

/** What the file descriptors of a process are, e.g. { 0: '/dev/null', 3: 'socket:[123]' }. */
export function fdsOf(pid: number): Record<string, string> {
  const dir = `/proc/${String(pid)}/fd`;
  return Object.fromEntries(
    readdirSync(dir).flatMap((fd) => {
      try {
        return [[fd, readlinkSync(`${dir}/${fd}`)]];
      } catch {
        return [];
      }
    }),
  );
}

/** Whether a process can accept TCP connections: it has a socket that listens. Not if it has ended. */
export function listensTcp(pid: number): boolean {
  const LISTEN = '0A';
  const inodes = new Set(
    ['/proc/net/tcp', '/proc/net/tcp6']
      .filter((path) => existsSync(path))
      .flatMap((path) => readFileSync(path, 'latin1').split('\n').slice(1))
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === LISTEN)
      .map((fields) => `socket:[${fields[9] ?? ''}]`),
  );
  try {
    return Object.values(fdsOf(pid)).some((target) => inodes.has(target));
  } catch {
    return false;
  }
}
