// Tells what an entry can know of itself; CommonJS.
'use strict';
exports.application = (environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'application/json']]);
  return JSON.stringify({
    argv: process.argv,
    execArgv: process.execArgv,
    cwd: process.cwd(),
    title: process.title,
    isMain: require.main === module,
    mainFilename: require.main?.filename,
    filename: __filename,
    dirname: __dirname,
    parent: module.parent ?? null,
    env: { FROM_ENV: process.env.FROM_ENV, FROM_FILE: process.env.FROM_FILE, LANG: process.env.LANG },
    uid: process.getuid(),
    gid: process.getgid(),
    groups: process.getgroups(),
    umask: process.umask(),
    version: process.version,
  });
};
