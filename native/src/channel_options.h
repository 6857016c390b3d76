/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file channel_options.h
 * Reads `ChannelOptions` of src/native.ts. JavaScript thread only.
 */
#ifndef TSGI_CHANNEL_OPTIONS_H
#define TSGI_CHANNEL_OPTIONS_H

#include <napi.h>

#include "server.h"

namespace tsgi {

/**
 * The listening socket is made non-blocking and close-on-exec, and belongs to *out then.
 * @return false with a TypeError (or an error of a system call) pending; then the socket
 *         still belongs to the caller.
 */
bool ReadChannelOptions(Napi::Object options, ServerOptions *out);

} // namespace tsgi
#endif
