/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_upgrade.h Requests that ask for another protocol: which ones are offered to the app as
 * such, and handing the client's own descriptor over to the worker. The thread of the request only.
 *
 * A descriptor is handed over at most once, only to the worker that has asked for it in this
 * exchange, and only where nothing in this process has a part in the client's bytes. From then
 * on httpd's own copy is a dead socket, so that nothing here can write to the client, shut its
 * connection down or keep it open.
 */
#ifndef TSGI_UPGRADE_H
#define TSGI_UPGRADE_H

#include "tsgi_module.h"

#include <stdint.h>

/**
 * @return TSGI_R_UPGRADE if the client asks for another protocol, by Upgrade or CONNECT, and the app may
 * give it, with TSGI_R_PASS where its descriptor can be handed over; 0 for every other request.
 */
uint32_t tsgi_upgrade_flags(request_rec *r);

#endif
