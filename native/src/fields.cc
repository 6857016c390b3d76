/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "fields.h"

#include <strings.h>

#include <cstring>

namespace tsgi {

static bool Is(const char *name, size_t n, const char *lower)
{
    return strlen(lower) == n && strncasecmp(name, lower, n) == 0;
}

static bool IsHopByHop(const char *name, size_t n)
{
    switch (n) {
    case 7:
        return Is(name, n, "upgrade");
    case 10:
        return Is(name, n, "connection") || Is(name, n, "keep-alive");
    case 16:
        return Is(name, n, "proxy-connection");
    case 17:
        return Is(name, n, "transfer-encoding");
    default:
        return false;
    }
}

static bool IsSpace(char c)
{
    return c == ' ' || c == '\t';
}

bool SplitFields(const char *text, size_t n, bool keep_upgrade,
                 std::vector<tsgi_field_t> *out)
{
    const char *const end = text + n;
    while (text < end) {
        const size_t left = static_cast<size_t>(end - text);
        const char *lf = static_cast<const char *>(memchr(text, '\n', left));
        if (lf == nullptr || lf == text || lf[-1] != '\r') {
            return false;
        }
        const char *value_end = lf - 1;
        const size_t line = static_cast<size_t>(value_end - text);
        const char *colon = static_cast<const char *>(memchr(text, ':', line));
        if (colon == nullptr) {
            return false;
        }
        const size_t name_length = static_cast<size_t>(colon - text);
        const char *value = colon + 1;
        while (value < value_end && IsSpace(*value)) {
            value++;
        }
        while (value_end > value && IsSpace(value_end[-1])) {
            value_end--;
        }
        if (!IsHopByHop(text, name_length) ||
            (keep_upgrade && Is(text, name_length, "upgrade"))) {
            tsgi_field_t field = {};
            field.name = {text, static_cast<uint32_t>(name_length)};
            field.value = {value, static_cast<uint32_t>(value_end - value)};
            out->push_back(field);
        }
        text = lf + 1;
    }
    return true;
}

size_t MaxEncodedSize(const std::vector<tsgi_field_t> &fields)
{
    /* token, and two lengths of at most 5 bytes each */
    size_t size = 11 * fields.size();
    for (const tsgi_field_t &field : fields) {
        size += static_cast<size_t>(field.name.len) + field.value.len;
    }
    return size;
}

std::string JoinFields(tsgi_fields_t list)
{
    std::string text;
    tsgi_field_t field;
    while (tsgi_fields_next(&list, &field) == 1) {
        text.append(field.name.data, field.name.len).append(": ");
        text.append(field.value.data, field.value.len).append("\r\n");
    }
    return text;
}

} // namespace tsgi
