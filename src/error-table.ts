/**
 * Every error of mod_tsgi's TypeScript side, in one table. A number is unique for ever, stands in
 * the log as `TSGI0601`, and has a section of the same name in docs/errors.md.
 *
 * Ranges: 0500–0599 supervisor · 0600–0699 loading an app · 0700–0799 requests in the worker ·
 * 0900–0949 command line. (0001–0499 are the Apache module's.)
 */

/** One row: what is logged, with `{name}` for each detail, and the HTTP status a client gets. */
export interface ErrorRow {
  readonly text: string;
  /** Status of a request that this error ends. 500 where a request cannot meet it. */
  readonly status?: number;
}

/** The table. Texts say what was expected, what came, and what to do. */
export const errorTable = {
  // 0500–0599: supervisor
  500: { text: 'internal error of the supervisor: {reason}' },
  501: {
    text: 'no configuration came from Apache within {seconds} s; the supervisor ends, Apache starts another',
  },
  502: { text: 'message from Apache is not understood: {reason}; the message is ignored' },
  503: {
    text:
      'env-file {file} cannot be read by {user}: {reason}; ' +
      'make it readable for that user. {next}',
    status: 503,
  },
  504: {
    text: 'worker {slot} of {application} could not be started: {reason}. {next}',
    status: 503,
  },
  505: {
    text:
      'worker {slot} of {application} (pid {pid}) was not ready within startup-timeout ({seconds} s) and is killed; ' +
      'scripts: {scripts}. Look for a blocked start, or raise startup-timeout=',
    status: 503,
  },
  506: {
    text:
      'worker {slot} of {application} (pid {pid}) ended before its app was ready: {how}; ' +
      'scripts: {scripts}. {next}',
    status: 503,
  },
  507: { text: 'worker {slot} of {application} (pid {pid}) ended: {how}; another is started' },
  508: {
    text: 'worker {slot} of {application} (pid {pid}) did not finish within {seconds} s and is killed',
  },
  509: { text: '{count} log lines were dropped because Apache did not read them in time' },
  510: {
    text: 'Apache has gone; workers get {seconds} s to finish',
  },
  511: {
    text: 'worker {slot} of {application} (pid {pid}) sent a message that is not understood: {reason}',
  },
  512: {
    text:
      'reload of {application} stopped at worker {slot}: {reason}; ' +
      'the old ones go on. Mend that and reload again',
  },
  513: { text: '{application}: {file} has changed; fresh workers take over' },
  514: {
    text:
      'watch= of {application} leads past more than {most} files and directories; what comes after ' +
      'them is not watched. Name fewer, for instance lib/**/*.js instead of **/*',
  },
  515: { text: 'worker {slot} of {application} (pid {pid}) is recycled: {cause}' },
  516: {
    text:
      'worker {slot} of {application} (pid {pid}) uses {used} MiB, more than twice its memory-limit of ' +
      '{limit} MiB, and is killed. Look for a leak, or raise memory-limit=',
    status: 503,
  },
  517: {
    text:
      'worker {slot} of {application} was to be recycled, but the fresh worker did not get ready; ' +
      'the old one goes on. Next try in {seconds} s',
  },
  520: { text: 'a question about the death of a worker was turned away: {reason}' },
  521: {
    text:
      'questions about the deaths of workers cannot be heard: {reason}; raise the limit of open files. ' +
      'Log lines of requests that lose their worker do not say why meanwhile',
  },
  525: {
    text:
      'the event loop of worker {slot} of {application} (pid {pid}) was blocked for {seconds} s (deadlock-timeout); ' +
      'the worker is killed; scripts: {scripts}. It was {where}',
    status: 503,
  },
  526: {
    text:
      'the event loop of worker {slot} of {application} (pid {pid}) was blocked for {seconds} s (deadlock-timeout); ' +
      'the worker is killed; scripts: {scripts}. It was in native code, no JavaScript stack to be had: {native}',
    status: 503,
  },
  527: {
    text:
      'worker {slot} of {application} (pid {pid}) gave no sign of life for {seconds} s (deadlock-timeout) and is killed; ' +
      'scripts: {scripts}. Was it stopped (SIGSTOP), traced or frozen?',
    status: 503,
  },
  535: {
    text:
      'worker {slot} of {application} (pid {pid}) takes nothing new, since it got SIGTERM or its app closed ' +
      'its server; it finishes what it has in hand, another is started',
  },
  540: {
    text:
      'worker {slot} of {application} (pid {pid}) prints more than the log takes of one worker; ' +
      '{count} lines were dropped. Print less',
  },
  541: {
    text:
      'connections to worker {slot} of {application} cannot be answered: {reason}; ' +
      'they wait. Raise limit-files=',
  },
  // 0600–0699: loading an app
  600: { text: 'internal error while loading {script}: {reason}', status: 500 },
  601: {
    text: 'script {script} does not exist; deploy it, or mend the path in the configuration',
    status: 404,
  },
  602: {
    text: 'script {script} cannot be read by {user}: {reason}; give that user the right to read it',
    status: 403,
  },
  603: { text: 'script {script} is not a regular file but {kind}', status: 403 },
  604: {
    text: 'script {script} belongs to uid {uid}; expected root or {user}, the user of the process group: chown it',
    status: 403,
  },
  605: {
    text: 'script {script} can be written by everyone (mode {mode}); remove that right: chmod o-w',
    status: 403,
  },
  606: {
    text:
      'script {script} lies outside of what the configuration allows ({roots}); ' +
      'name it in a TSGIScriptAlias or set script-root=',
    status: 403,
  },
  607: { text: 'the app {script} threw while it was loaded: {reason}', status: 500 },
  608: { text: 'the app {script} has a syntax error: {reason}', status: 500 },
  609: {
    text:
      'the app {script} needs a module that cannot be found: {reason}; ' +
      'install its dependencies (npm ci) beside it',
    status: 500,
  },
  610: {
    text: 'the app {script} called process.exit({status}) while it was loaded; expected it to listen or to export an app',
    status: 500,
  },
  611: {
    text:
      'the app {script} ended by itself (nothing left to do): expected a listen() on an http server, ' +
      'an export named application, or a default export that is an app; its exports: {exports}',
    status: 500,
  },
  612: {
    text:
      'the app {script} did not listen within {seconds} s: expected a listen() on an http server, ' +
      'an export named application, or a default export that is an app; its exports: {exports}',
    status: 500,
  },
  613: {
    text: 'the app {script} exports {came} as {name}; expected {expected}',
    status: 500,
  },
  614: {
    text:
      'the app {script} is written in TypeScript, which this Node.js ({version}) does not run by itself, ' +
      'and tsx is not installed: {reason}; run npm ci in mod_tsgi, or use Node.js 22.18 or later',
    status: 500,
  },
  615: {
    text: 'the app {script} needs {feature}, which type stripping does not support; it is started again with tsx',
    status: 500,
  },
  616: { text: 'the worker has lost its supervisor before it began; it ends' },
  617: { text: 'the boot message is not understood: {reason}' },
  618: {
    text:
      'the app {script} called listen() on a further http server ({where}), which listens for itself; ' +
      'Apache serves {served}. listen=port:N chooses another',
  },
  619: {
    text: 'the app {script} called cluster.fork(); the workers of the process group serve it instead, nothing was forked',
  },
  620: {
    text: 'the cache of tsx is off: {directory} {reason}; expected a directory of {user} with mode 0700',
  },
  621: {
    text:
      'the app {script} did not call process.send("ready") within startup-timeout ({seconds} s), which ' +
      'ready=message asks for; call it when the app is ready, or leave ready= out',
    status: 500,
  },
  622: {
    text:
      "the app {script} has an http2 server that only listens to 'stream': expected a listener of " +
      "'request', as in http2.createSecureServer({ allowHTTP1: true }, (req, res) => …); Apache speaks " +
      'HTTP/2 with the clients',
    status: 500,
  },
  623: {
    text:
      'the app {script} listens on {where} and not on port {port}, which listen= of its process group names; ' +
      'mend listen=, or let the app listen there (PORT in its environment is that port unless it is set)',
    status: 500,
  },
  624: {
    text:
      'the app {script} lets another http server listen on the port of its first one ({where}); ' +
      'nothing is bound, Apache serves both by the first',
  },
  625: {
    text:
      "the app {script} lets a further http server listen on a port that is Apache's, or that its user may not bind ({where}); " +
      'nothing is bound and nobody comes there',
  },
  627: {
    text: 'the package {manifest} asks for Node.js {range} ("engines"), and {version} runs it; name another one by node=',
  },
  628: {
    text: 'the directory {script} has no entry: {reason}; name the file itself, or mend the package',
    status: 404,
  },
  629: {
    text:
      "the worker may not load its addon: Node's permission model forbids it; " +
      'give --allow-addons beside --permission in node-args=',
  },
  630: {
    text:
      'the app {script} asks for emitDecoratorMetadata ({tsconfig}), which tsx does not do: decorators see no types ' +
      'of parameters. Compile it (tsc, nest build), or name a compiler that does in node-args=',
  },
  631: {
    text: "node's inspector was not opened at {host}, port {port}: {reason}",
  },
  632: {
    text: 'NODE_COMPILE_CACHE is left out: {directory} {reason}; expected a directory of the user alone, with mode 0700',
  },
  // 0700–0799: requests in the worker
  701: { text: 'the app threw or rejected before its response began: {reason}' },
  702: { text: 'the app threw or rejected in the middle of its response: {reason}' },
  703: {
    text:
      'the app {what} without having called startResponse; ' +
      'expected a call of startResponse(status, headers) before the first piece of the body',
  },
  704: { text: 'startResponse() was called with {came}; expected {expected}' },
  705: {
    text: 'the app gave {came} as a piece of its body; expected a string or a Uint8Array',
  },
  706: {
    text:
      'the app returned {came}; expected a string, a Uint8Array, an iterable or async iterable of them, ' +
      'or a promise of one of these',
  },
  707: {
    text:
      'startResponse() was called again; expected one call, or the error that makes a second one necessary ' +
      'as its third argument',
  },
  708: {
    text: 'the app announced a Content-Length of {declared} and gave {came} bytes; expected the same number',
  },
  709: { text: 'the fetch handler threw or rejected: {reason}' },
  710: { text: 'the fetch handler returned {came}; expected a Response, or a promise of one' },
  711: {
    text:
      'fetch handlers are served through the package srvx, which cannot be loaded: {reason}; ' +
      'run npm ci in mod_tsgi',
  },
  712: {
    text: 'the app destroyed the connection before its response was complete: {reason}',
  },
  713: {
    text: 'the app wrote to res.socket what is not an HTTP response: {reason}; use res instead',
  },
  714: { text: 'the app answered with status {status}; expected one from 200 to 999' },
  715: { text: 'the app could not be loaded: {reason}' },
  716: {
    text:
      'the head or the trailers of the response cannot be sent: {reason}; ' +
      'expected less than 256 KiB of headers, less than 64 KiB of trailers',
  },
  720: { text: 'TSGI is not kept to: {reason}' },
  730: {
    text: 'the app sent no response head within request-timeout ({seconds} s)',
    status: 504,
  },
  731: {
    text: 'the worker did not finish within the {seconds} s that it had; requests that are cut off: {count}',
  },
  750: {
    text:
      'an upgrade was answered 503: {most} connections have been taken over by the app, as many as ' +
      'max-upgrades allows; raise it, or limit-files if the limit is a share of that',
  },
  751: {
    text: 'an upgraded connection was closed: no byte moved for upgrade-idle-timeout ({seconds} s)',
  },
  752: { text: 'the connection of a client could not be taken over: {reason}' },
  790: {
    text: 'a connection to the worker was turned away, its user is none that may connect: {reason}',
  },
  791: { text: 'a connection to the worker was turned away, its secret is wrong: {reason}' },
  792: {
    text:
      'a connection to the worker was turned away, it speaks another version of the wire: {reason}; ' +
      'restart Apache after an upgrade of mod_tsgi',
  },
  793: { text: 'a connection to the worker broke the rules of the wire and was closed: {reason}' },
  794: { text: 'the worker lacks descriptors or memory for a connection: {reason}' },
  795: { text: 'connections to the worker that said nothing were closed: {reason}' },
  // 0900–0949: command line
  900: { text: '{file} is missing: the package has not been built yet; run `npx tsgi build`' },
  901: { text: 'the build did not succeed: see its messages above' },
  902: { text: '{command} could not be started: {reason}' },
} as const satisfies Readonly<Record<number, ErrorRow>>;
