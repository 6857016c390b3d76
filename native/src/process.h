/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file process.h
 * System calls that Node does not offer, as plain functions of the addon: closeOnExec,
 * setParentDeathSignal, ignoreSignal, fatalException, refuseAll, acceptPeer, writePacket. Contracts:
 * src/native.ts.
 */
#ifndef TSGI_PROCESS_H
#define TSGI_PROCESS_H

#include <napi.h>

namespace tsgi {

/** Adds them to the addon's exports. */
void DefineProcess(Napi::Env env, Napi::Object exports);

} // namespace tsgi
#endif
