/** States of slots and of workers, the moves that are allowed, and the one function that moves. */

/**
 * A slot is one worker's place: a listening socket.
 * - `idle`: on demand, nobody came yet; its socket is watched.
 * - `booting`: its worker loads the app; connections wait in the backlog.
 * - `ready`: its worker accepts.
 * - `waiting`: its worker failed; the next one starts after a back-off, and until then connections
 *   are answered with UNAVAILABLE.
 * - `closed`: taken out of service; its last worker may still be draining.
 */
export type SlotState = 'idle' | 'booting' | 'ready' | 'waiting' | 'closed';

export type WorkerState = 'booting' | 'ready' | 'draining' | 'dead';

type Moves<S extends string> = Readonly<Record<S, readonly S[]>>;

export const slotMoves: Moves<SlotState> = {
  idle: ['booting', 'closed'],
  booting: ['booting', 'ready', 'waiting', 'closed'],
  ready: ['booting', 'waiting', 'idle', 'closed'],
  waiting: ['booting', 'closed'],
  closed: [],
};

export const workerMoves: Moves<WorkerState> = {
  booting: ['ready', 'draining', 'dead'],
  ready: ['draining', 'dead'],
  draining: ['dead'],
  dead: [],
};

/** What {@link move} needs of its subject. */
export interface Stateful<S extends string> {
  state: S;
  readonly label: string;
}

/**
 * Moves the subject, and tells `trace`.
 * @throws Error if the table does not allow it: that is a bug, never an operator's mistake.
 */
export function move<S extends string>(
  subject: Stateful<S>,
  to: S,
  moves: Moves<S>,
  trace: (text: string) => void,
): void {
  if (!moves[subject.state].includes(to)) {
    throw new Error(`${subject.label} cannot go from ${subject.state} to ${to}`);
  }
  trace(`${subject.label}: ${subject.state} -> ${to}`);
  subject.state = to;
}
