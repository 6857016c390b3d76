/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "event_batch.h"

#include <climits>
#include <cstring>

namespace tsgi {

/* Ints before the first header of a REQUEST: see REQ_* in src/native.ts. */
static constexpr size_t kPlainInts = 4;
static constexpr size_t kSocketInts = 5;
static constexpr size_t kRequestInts = 16 + 2 * TSGI_S_COUNT;
static constexpr size_t kHeaderInts = 5;
static constexpr size_t kVarInts = 4;
static constexpr size_t kFirstCapacity = 4096;
/* Payloads of up to this size may stay referenced until the next turn overwrites them. */
static constexpr size_t kKeptPayloadBytes = size_t{64} * 1024;

EventBatch::EventBatch(Napi::Env env)
    : env_(env), events_(Napi::Persistent(Napi::Int32Array::New(env, kFirstCapacity))),
      progress_(Napi::Persistent(Napi::Int32Array::New(env, 1))),
      payloads_(Napi::Persistent(Napi::Array::New(env)))
{
}

void EventBatch::Begin()
{
    ints_.clear();
    count_ = 0;
    payload_count_ = 0;
    payload_bytes_ = 0;
}

int32_t EventBatch::AddPayload(napi_value value, size_t bytes)
{
    if (value == nullptr ||
        napi_set_element(env_, payloads_.Value(), payload_count_, value) != napi_ok) {
        return -1;
    }
    payload_bytes_ += bytes;
    return static_cast<int32_t>(payload_count_++);
}

/* Beside TSGI_R_*, which are the wire's: FLAG_ASCII of src/events.ts. */
static constexpr uint32_t kFlagAscii = 0x40000000;

/* The bits of all bytes: above 0x7f if one is. */
static uint64_t BitsOf(const tsgi_str_t &string)
{
    uint64_t all = 0;
    size_t i = 0;
    for (; i + sizeof(uint64_t) <= string.len; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, string.data + i, sizeof(word));
        all |= word;
    }
    for (; i < string.len; i++) {
        all |= static_cast<uint8_t>(string.data[i]);
    }
    return all;
}

/*
 * Whether no text of the head needs decoding: its strings and variables. Headers are bytes for JavaScript,
 * and so are the numbers between, of which most are above 0x7f somewhere.
 */
static bool IsAscii(const tsgi_request_t &request, tsgi_fields_t vars)
{
    uint64_t all = 0;
    for (const tsgi_str_t &string : request.s) {
        all |= BitsOf(string);
    }
    tsgi_field_t field;
    while (tsgi_fields_next(&vars, &field) == 1) {
        all |= BitsOf(field.name) | BitsOf(field.value);
    }
    return (all & UINT64_C(0x8080808080808080)) == 0;
}

static void PutString(int32_t *out, const tsgi_str_t &string, const uint8_t *payload)
{
    const char *base = reinterpret_cast<const char *>(payload);
    out[0] = string.len == 0 ? 0 : static_cast<int32_t>(string.data - base);
    out[1] = static_cast<int32_t>(string.len);
}

void EventBatch::AddRequest(int32_t id, const uint8_t *payload, size_t n,
                            const tsgi_request_t &request, tsgi_fields_t headers,
                            tsgi_fields_t vars)
{
    napi_value text = nullptr;
    if (napi_create_string_latin1(env_, reinterpret_cast<const char *>(payload), n,
                                  &text) != napi_ok) {
        text = nullptr;
    }
    const size_t total = kRequestInts + kHeaderInts * headers.left + kVarInts * vars.left;
    const size_t at = ints_.size();
    ints_.resize(at + total);
    int32_t *out = &ints_[at];
    const uint64_t length = static_cast<uint64_t>(request.content_length);
    const int32_t fixed[16] = {
        kEventRequest,
        id,
        AddPayload(text, n),
        static_cast<int32_t>(total),
        static_cast<int32_t>((request.flags & ~kFlagAscii) |
                             (IsAscii(request, vars) ? kFlagAscii : 0)),
        static_cast<int32_t>(length & UINT32_MAX),
        static_cast<int32_t>(length >> 32),
        static_cast<int32_t>(request.mount_length),
        static_cast<int32_t>(request.timeout_ms > INT32_MAX ? INT32_MAX
                                                            : request.timeout_ms),
        request.remote_port,
        request.local_port,
        request.server_port,
        request.http_major,
        request.http_minor,
        static_cast<int32_t>(headers.left),
        static_cast<int32_t>(vars.left),
    };
    memcpy(out, fixed, sizeof(fixed));
    out += 16;
    for (const tsgi_str_t &string : request.s) {
        PutString(out, string, payload);
        out += 2;
    }
    tsgi_field_t field;
    while (tsgi_fields_next(&headers, &field) == 1) {
        out[0] = field.token;
        if (field.token == 0) {
            PutString(out + 1, field.name, payload);
        }
        PutString(out + 3, field.value, payload);
        out += kHeaderInts;
    }
    while (tsgi_fields_next(&vars, &field) == 1) {
        PutString(out, field.name, payload);
        PutString(out + 2, field.value, payload);
        out += kVarInts;
    }
    count_++;
}

void EventBatch::AddBody(int32_t id, const uint8_t *bytes, size_t n)
{
    napi_value buffer = nullptr;
    if (napi_create_buffer_copy(env_, n, bytes, nullptr, &buffer) != napi_ok) {
        buffer = nullptr;
    }
    AddBody(id, buffer, n);
}

void EventBatch::AddBody(int32_t id, napi_value buffer, size_t n)
{
    ints_.insert(ints_.end(), {kEventBody, id, AddPayload(buffer, n), kPlainInts});
    count_++;
}

void EventBatch::AddBodyEnd(int32_t id, const std::string &trailers)
{
    napi_value text = nullptr;
    if (napi_create_string_latin1(env_, trailers.data(), trailers.size(), &text) !=
        napi_ok) {
        text = nullptr;
    }
    ints_.insert(ints_.end(),
                 {kEventBodyEnd, id, AddPayload(text, trailers.size()), kPlainInts});
    count_++;
}

void EventBatch::AddSocket(int32_t id, int fd, const uint8_t *bytes, size_t n)
{
    napi_value buffer = nullptr;
    if (napi_create_buffer_copy(env_, n, bytes, nullptr, &buffer) != napi_ok) {
        buffer = nullptr;
    }
    ints_.insert(ints_.end(), {kEventSocket, id, AddPayload(buffer, n), kSocketInts, fd});
    count_++;
}

void EventBatch::AddPlain(EventKind kind, int32_t id)
{
    ints_.insert(ints_.end(), {kind, id, -1, kPlainInts});
    count_++;
}

bool EventBatch::Grow(size_t needed)
{
    size_t capacity = kFirstCapacity;
    while (capacity < needed) {
        capacity *= 2;
    }
    Napi::Int32Array bigger = Napi::Int32Array::New(env_, capacity);
    if (env_.IsExceptionPending()) {
        return false;
    }
    events_.Reset(bigger, 1);
    return true;
}

/* Where a typed array's elements are, and how many there are; 0 when it was detached. */
static size_t Elements(napi_env env, napi_value array, int32_t **data)
{
    napi_typedarray_type type;
    size_t length = 0;
    void *memory = nullptr;
    if (napi_get_typedarray_info(env, array, &type, &length, &memory, nullptr, nullptr) !=
            napi_ok ||
        memory == nullptr) {
        length = 0;
    }
    *data = static_cast<int32_t *>(memory);
    return length;
}

bool EventBatch::Publish()
{
    int32_t *data = nullptr;
    if (Elements(env_, events_.Value(), &data) < ints_.size()) {
        if (!Grow(ints_.size()) ||
            Elements(env_, events_.Value(), &data) < ints_.size()) {
            return false;
        }
    }
    memcpy(data, ints_.data(), ints_.size() * sizeof(int32_t));
    if (Elements(env_, progress_.Value(), &reached_) == 0) {
        reached_ = nullptr;
    }
    else {
        /* Who does not keep it up to date has come to everything. */
        *reached_ = INT32_MAX;
    }
    return true;
}

void EventBatch::End()
{
    reached_ = nullptr;
    if (payload_bytes_ > kKeptPayloadBytes) {
        napi_value zero = nullptr;
        if (napi_create_uint32(env_, 0, &zero) == napi_ok) {
            (void)napi_set_named_property(env_, payloads_.Value(), "length", zero);
        }
    }
}

std::vector<int32_t> EventBatch::RequestsNotReached() const
{
    std::vector<int32_t> ids;
    if (reached_ == nullptr) {
        return ids;
    }
    for (size_t at = 0; at + kPlainInts <= ints_.size();
         at += static_cast<size_t>(ints_[at + 3])) {
        if (ints_[at] == kEventRequest && static_cast<int64_t>(at) > *reached_) {
            ids.push_back(ints_[at + 1]);
        }
    }
    return ids;
}

} // namespace tsgi
