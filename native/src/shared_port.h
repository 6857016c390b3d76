/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file shared_port.h
 * bindShared(): the further servers of an app, such as one for metrics. All workers of a group run
 * the same code, and at a reload the old ones still listen: they share the port.
 * JavaScript thread only.
 */
#ifndef TSGI_SHARED_PORT_H
#define TSGI_SHARED_PORT_H

#include <napi.h>

namespace tsgi {

/** `bindShared` of src/native.ts. */
Napi::Value BindShared(const Napi::CallbackInfo &info);

} // namespace tsgi
#endif
