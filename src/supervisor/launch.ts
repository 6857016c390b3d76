/** Puts together what one worker needs, and starts it. */
import { errorLine } from '../errors.ts';
import { Allowance } from './allowance.ts';
import type { Application } from './application.ts';
import type { Context } from './context.ts';
import { workerEnvironment } from './environment.ts';
import { LEVEL } from './log.ts';
import { heapArguments, newLife, statsIntervalMs, type Life } from './recycling.ts';
import type { Slot } from './slot.ts';
import { inspectorAddress, workerArguments, workingDirectory, type SpawnPlan } from './spawn.ts';
import { Worker } from './worker.ts';

/** A worker reports by itself when startup-timeout passes; one that cannot is killed this much later. */
const STARTUP_MARGIN_MS = 500;

/** `tsgi: worker NAME/0`, or what display-name= says, with the slot. */
export function workerTitle(group: string, displayName: string | undefined, slot: number): string {
  const shown = displayName?.replaceAll('%{GROUP}', group) ?? `tsgi: worker ${group}`;
  return `${shown}/${String(slot)}`;
}

/** `tsgi: supervisor NAME`, or what display-name= says. */
export function supervisorTitle(group: string, displayName: string | undefined): string {
  return displayName?.replaceAll('%{GROUP}', group) ?? `tsgi: supervisor ${group}`;
}

function plan(context: Context, application: Application, slot: Slot, life: Life): SpawnPlan {
  const { options } = context;
  const { scripts } = application;
  const environment = context.environment();
  return {
    node: options.node,
    args: [
      ...heapArguments(options.limits, [...options.nodeArgs, environment['NODE_OPTIONS'] ?? '']),
      ...workerArguments(options, context.workerFile, scripts),
    ],
    cwd: workingDirectory(options, scripts),
    environment: workerEnvironment(
      environment,
      options.name,
      application.name,
      slot.index,
      options.nodeArgs,
      options.listenPort ?? options.port,
    ),
    listenFd: slot.fd,
    boot: {
      group: options.name,
      application: application.name,
      slot: slot.index,
      processes: application.slots.length,
      generation: options.generation,
      secret: options.secret,
      concurrency: options.concurrency,
      maxUpgrades: options.maxUpgrades,
      upgradeIdleTimeoutMs: options.upgradeIdleTimeoutMs,
      peerUid: options.peerUid,
      scripts,
      supervisor: process.pid,
      apache: process.ppid,
      startupTimeoutMs: options.startupTimeoutMs,
      shutdownTimeoutMs: options.shutdownTimeoutMs,
      gracefulTimeoutMs: options.gracefulTimeoutMs,
      evictionTimeoutMs: options.evictionTimeoutMs,
      deadlockTimeoutMs: options.deadlockTimeoutMs,
      title: workerTitle(options.name, options.displayName, slot.index),
      ...(options.home !== undefined && { home: options.home }),
      ...(options.inspect !== undefined && {
        inspector: inspectorAddress(options.inspect, slot.ordinal),
      }),
      port: options.port,
      ...(options.listenPort !== undefined && { listenPort: options.listenPort }),
      ready: options.ready,
      maximumRequests: Number.isFinite(life.maximumRequests) ? life.maximumRequests : 0,
      statsIntervalMs: statsIntervalMs(options.limits),
      forceTsx: application.forceTsx,
      ...(application.clusterFork && { clusterFork: application.clusterFork }),
    },
  };
}

/**
 * @returns the booting worker, with its startup deadline set.
 * @throws TsgiError if it cannot be tried, e.g. for an env-file that cannot be read. That the
 * process itself could not be started comes later, as an `exit` event.
 */
export function launchWorker(context: Context, application: Application, slot: Slot): Worker {
  const life = newLife(context.options.limits);
  const spawnPlan = plan(context, application, slot, life);
  const worker = new Worker(
    slot,
    `worker ${application.title}/${String(slot.index)}`,
    life,
    spawnPlan.boot,
  );
  worker.allowance = new Allowance({
    now: context.now,
    report: (count) => {
      const pid = worker.process.pid ?? 0;
      const details = { application: application.title, slot: slot.index, pid, count };
      context.log.host(LEVEL.warn, errorLine(540, details), pid);
    },
  });
  worker.process = context.spawn(spawnPlan, {
    onLine: (line) => {
      context.post({ kind: 'line', worker, line });
    },
    onOutput: (source, line) => {
      if (source === 'err') worker.remember(line, context.now());
      if (!worker.allowance.take(source, line.length)) return;
      const level = source === 'err' ? LEVEL.warn : LEVEL.notice;
      context.log.line(level, worker.process.pid ?? 0, source, line);
    },
    onExit: (status, signal, error) => {
      context.post({ kind: 'exit', worker, status, signal, ...(error && { error }) });
    },
  });
  worker.limitMs = context.options.startupTimeoutMs;
  worker.deadline = context.now() + context.options.startupTimeoutMs + STARTUP_MARGIN_MS;
  return worker;
}
