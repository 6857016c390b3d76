// A TypeScript entry, run as it is: no build step, no loader to configure.
import type { Application } from 'mod-tsgi';

interface Answer {
  readonly language: string;
  readonly node: string;
  readonly path: string;
}

export const application: Application = (environ, startResponse) => {
  const answer: Answer = {
    language: 'TypeScript',
    node: process.version,
    path: environ.PATH_INFO,
  };
  startResponse('200 OK', [['Content-Type', 'application/json']]);
  return [`${JSON.stringify(answer)}\n`];
};
