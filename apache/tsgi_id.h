/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_id.h
 * The identity of a generation: a hash of everything that a running supervisor cannot change.
 */
#ifndef TSGI_ID_H
#define TSGI_ID_H

#include "tsgi_config.h"
#include "../native/wire/tsgi_wire.h"

/**
 * Module version and files, options, resolved ids, port, node, env-file (both by path, device, inode, time
 * and size) → id. Not in it: the lists of scripts. Two processes of the same configuration give the
 * same id. Parent only; opens nothing, only stat().
 * @param port what tsgi_port_of() says
 * @param directory where mod_tsgi.so and the JavaScript lie
 */
void tsgi_id_compute(const tsgi_group_t *group, apr_port_t port, const char *directory,
                     unsigned char id[TSGI_GENERATION_SIZE]);

/** Hexadecimal text of `size` bytes, from p. */
const char *tsgi_id_hex(apr_pool_t *p, const unsigned char *bytes, apr_size_t size);

#endif
