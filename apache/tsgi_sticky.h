/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_sticky.h `sticky=on`: a client comes back to the worker that has served it. Apache children;
 * the thread of the request.
 *
 * The client holds a cookie that names a slot, signed with the group's secret for this application group
 * in this generation. One that is forged, or of another configuration, is as good as none. It says where
 * a request is tried first and nothing else: a worker that has gone is replaced by another one, and the
 * client gets a new cookie.
 */
#ifndef TSGI_STICKY_H
#define TSGI_STICKY_H

#include "tsgi_generation.h"

/** The cookie's name. */
#define TSGI_STICKY_COOKIE "tsgi_worker"

/** @return the slot that the client's cookie names, −1 if it has none that holds. */
int tsgi_sticky_slot(request_rec *r, const tsgi_slots_t *slots);
/**
 * Adds Set-Cookie for `slot` to the response, unless the client has that cookie (`known`), or caches
 * that others share may keep the response.
 */
void tsgi_sticky_answer(request_rec *r, const tsgi_route_t *route,
                        const tsgi_slots_t *slots, int slot, int known);

#endif
