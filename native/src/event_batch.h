/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file event_batch.h
 * The events of one turn of the loop, in the form that JavaScript reads: whole numbers in
 * one Int32Array, and one array of payloads. The layout is described in src/native.ts.
 *
 * Made by Channel, filled by Server and Connection, inside of a handle scope. JavaScript
 * thread only.
 */
#ifndef TSGI_EVENT_BATCH_H
#define TSGI_EVENT_BATCH_H

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "wire/tsgi_wire.h"

namespace tsgi {

/** As EVENT_* in src/native.ts. */
enum EventKind : int32_t {
    kEventRequest = 1,
    kEventBody = 2,
    kEventBodyEnd = 3,
    kEventClose = 4,
    kEventDrain = 5,
    kEventFinish = 6,
    kEventSocket = 7,
};

class EventBatch {
  public:
    explicit EventBatch(Napi::Env env);
    EventBatch(const EventBatch &) = delete;
    EventBatch &operator=(const EventBatch &) = delete;

    /** Forgets the events of the turn before. */
    void Begin();
    void AddRequest(int32_t id, const uint8_t *payload, size_t n,
                    const tsgi_request_t &request, tsgi_fields_t headers,
                    tsgi_fields_t vars);
    void AddBody(int32_t id, const uint8_t *bytes, size_t n);
    /** The same for bytes that are in a Buffer already; null if that failed. */
    void AddBody(int32_t id, napi_value buffer, size_t n);
    /** The descriptor is JavaScript's from now on. */
    void AddSocket(int32_t id, int fd, const uint8_t *bytes, size_t n);
    void AddBodyEnd(int32_t id, const std::string &trailers);
    /** DRAIN, FINISH, CLOSE. */
    void AddPlain(EventKind kind, int32_t id);

    napi_env env() const
    {
        return env_;
    }
    uint32_t count() const
    {
        return count_;
    }
    /**
     * Copies the numbers to where JavaScript reads them.
     * @return false if that failed (the environment ends); an exception may be pending.
     */
    bool Publish();
    /** JavaScript has read them: payloads that hold much memory are let go. */
    void End();
    /**
     * Ids of the requests of this batch that JavaScript has not come to: those behind the
     * offset in Channel.progress. May be called when the process is about to end.
     */
    std::vector<int32_t> RequestsNotReached() const;

    Napi::Value events() const
    {
        return events_.Value();
    }
    Napi::Value payloads() const
    {
        return payloads_.Value();
    }
    Napi::Value progress() const
    {
        return progress_.Value();
    }

  private:
    /** Takes the next place in the array of payloads. -1 if value is null (it failed). */
    int32_t AddPayload(napi_value value, size_t bytes);
    bool Grow(size_t needed);

    Napi::Env env_;
    std::vector<int32_t> ints_;
    uint32_t count_ = 0;
    uint32_t payload_count_ = 0;
    size_t payload_bytes_ = 0;
    Napi::Reference<Napi::Int32Array> events_;
    Napi::Reference<Napi::Int32Array> progress_;
    /** The memory of progress_; null if JavaScript took it away. */
    int32_t *reached_ = nullptr;
    Napi::Reference<Napi::Array> payloads_;
};

} // namespace tsgi
#endif
