/** What the kernel tells in /proc about processes: CPU time, memory, context switches. */
import { readFileSync, readdirSync } from 'node:fs';
import { descendants, processOf, type Process } from '../test/harness/processes.ts';

const HZ = 100; // USER_HZ: fixed on Linux

/** Fields of /proc/PID/stat from the third on, as the kernel counts CPU time (10 ms steps). */
function ticks(pid: number, first: number, count: number): number {
  const stat = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(first, first + count).reduce((total, field) => total + Number(field), 0);
}

/** User + system CPU time of a process in µs. */
export const cpuMicros = (pid: number): number => (ticks(pid, 11, 2) * 1e6) / HZ;
/** The same with that of its children that have ended. */
export const cpuMicrosWithChildren = (pid: number): number => (ticks(pid, 11, 4) * 1e6) / HZ;

export interface MachineTime {
  readonly busyUs: number;
  readonly totalUs: number;
}

/** Reads the sum line of /proc/stat. Time that the hypervisor gave to others counts as busy. */
export function parseMachineTime(stat: string): MachineTime {
  const [, ...fields] = (/^cpu .*$/m.exec(stat)?.[0] ?? '').split(/\s+/).map(Number);
  const counted = fields.slice(0, 8); // what follows, guests, is part of user
  const total = counted.reduce((a, b) => a + b, 0);
  const [, , , idle = 0, iowait = 0] = counted;
  return { busyUs: ((total - idle - iowait) * 1e6) / HZ, totalUs: (total * 1e6) / HZ };
}
export const machineTime = (): MachineTime =>
  parseMachineTime(readFileSync('/proc/stat', 'latin1'));

/** How often its threads have left the CPU, of their own will or not. */
export function contextSwitches(pid: number): number {
  const tasks = `/proc/${String(pid)}/task`;
  return sum(readdirSync(tasks).map(Number), (task) => {
    const status = readFileSync(`${tasks}/${String(task)}/status`, 'latin1');
    const counts = [...status.matchAll(/^(?:non)?voluntary_ctxt_switches:\s+(\d+)$/gm)];
    return counts.reduce((total, [, count]) => total + Number(count), 0);
  });
}

/** A process and everything below it. */
export function tree(pid: number): Process[] {
  const top = processOf(pid);
  return top ? [top, ...descendants(pid)] : [];
}

/** Sum over processes; one that has gone counts 0. */
export function sum(pids: readonly number[], of: (pid: number) => number): number {
  return pids.reduce((total, pid) => {
    try {
      return total + of(pid);
    } catch {
      return total;
    }
  }, 0);
}

function rollup(pid: number, field: string): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(
    readFileSync(`/proc/${String(pid)}/smaps_rollup`, 'utf8'),
  );
  return Number(match?.[1] ?? 0) / 1024;
}
/** Proportional set size in MiB: shared pages are counted once over all their users. */
export const pssMiB = (pid: number): number => rollup(pid, 'Pss');
/** Resident set size in MiB. */
export const rssMiB = (pid: number): number => rollup(pid, 'Rss');
