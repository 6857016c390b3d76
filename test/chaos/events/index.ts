/** Every event, in the order of the table. */
import type { ChaosEvent } from '../event.ts';
import { aborts } from './clients.ts';
import { changedGroups, gracefuls } from './graceful.ts';
import { killChild, killParent, killSupervisor, killWorker } from './kill.ts';
import { hang, overload } from './overload.ts';
import { random } from './random.ts';
import { recycling } from './recycle.ts';
import { brokenReloads, reloads } from './reload.ts';
import { blockLoop, stopWorker, takeBack } from './stop.ts';
import { outsiders, sockets } from './strangers.ts';
import { clock, descriptors, output } from './surroundings.ts';

export const events: readonly ChaosEvent[] = [
  reloads,
  gracefuls,
  changedGroups,
  brokenReloads,
  recycling,
  killWorker,
  killSupervisor,
  killChild,
  killParent,
  stopWorker,
  blockLoop,
  takeBack,
  overload,
  hang,
  aborts,
  sockets,
  outsiders,
  output,
  descriptors,
  clock,
  random,
];
