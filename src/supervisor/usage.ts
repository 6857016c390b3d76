/** What the system says that a process uses. */
import { readFileSync } from 'node:fs';

/** Linux shows times of processes in hundredths of a second, whatever its own clock is. */
const MS_PER_TICK = 10;
/** Fields of /proc/<pid>/stat behind the name of the program, which may hold blanks. */
const USER_TIME = 11;
const SYSTEM_TIME = 12;

export interface Usage {
  /** Resident memory in bytes. */
  readonly memory: number;
  /** Processor time of all its threads. */
  readonly cpuMs: number;
}

/** @returns undefined if the process has gone. */
export function usageOf(pid: number): Usage | undefined {
  try {
    const status = readFileSync(`/proc/${String(pid)}/status`, 'latin1');
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const kibibytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
    const ticks = Number(fields[USER_TIME]) + Number(fields[SYSTEM_TIME]);
    return { memory: kibibytes * 1024, cpuMs: ticks * MS_PER_TICK };
  } catch {
    return undefined;
  }
}
