/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file fields.h
 * Header text as JavaScript hands it over, split into fields of the wire; and back.
 * Pure functions; any thread.
 */
#ifndef TSGI_FIELDS_H
#define TSGI_FIELDS_H

#include <cstddef>
#include <string>
#include <vector>

#include "wire/tsgi_wire.h"

namespace tsgi {

/**
 * Splits `Name: value\r\n` lines. Fields are views into the text. What concerns one
 * connection only (Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding, Upgrade)
 * is left out: Apache's connection to its client is another one. But Upgrade stays with
 * keep_upgrade: in a response 101 it says what the client's connection becomes.
 * Names and values are not checked here, the encoder of the wire does that.
 * @return false if a line has no colon or does not end with CRLF.
 */
bool SplitFields(const char *text, size_t n, bool keep_upgrade,
                 std::vector<tsgi_field_t> *out);

/** Most bytes that these fields take up on the wire. */
size_t MaxEncodedSize(const std::vector<tsgi_field_t> &fields);

/** A list from the wire as `Name: value\r\n` lines. */
std::string JoinFields(tsgi_fields_t list);

} // namespace tsgi
#endif
