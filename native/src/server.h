/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file server.h
 * What a channel does on the loop: accepts, finds out which connections are ready, has them
 * read and written once per turn, and knows the exchanges in hand. Calls no JavaScript.
 *
 * One turn:
 *   poll     callbacks only note which connections are ready
 *   check    SomethingToDo()? then the Channel opens its scopes, Collect() reads and decodes,
 *            JavaScript gets all events in one call, FlushDirty() writes
 *   prepare  FlushDirty() for what timers and other callbacks wrote since
 *
 * Loop thread only, but for the exit handler (exit_flush.h), which runs on the same thread.
 */
#ifndef TSGI_SERVER_H
#define TSGI_SERVER_H

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "connection.h"
#include "event_batch.h"
#include "exchanges.h"
#include "util/fd.h"
#include "util/loop.h"
#include "wire/tsgi_wire.h"

namespace tsgi {

struct ServerOptions {
    Fd listener;
    uint8_t generation[TSGI_GENERATION_SIZE] = {};
    uint8_t secret[TSGI_SECRET_SIZE] = {};
    uint32_t concurrency = 1;
    int64_t peer_uid = -1;                      /**< -1 = any */
    uint64_t greeting_ms = uint64_t{60} * 1000; /**< until AUTH has to have come */
};

/** A line for the host's log; code is the N of TSGI<N>. */
struct LogLine {
    uint16_t code;
    std::string text;
};
constexpr uint16_t kLogPeer = 790;      /**< a connection of a user who may not */
constexpr uint16_t kLogSecret = 791;    /**< a wrong secret */
constexpr uint16_t kLogVersion = 792;   /**< a version that is not spoken here */
constexpr uint16_t kLogViolation = 793; /**< bytes that are no frame, or not here */
constexpr uint16_t kLogResources = 794; /**< no descriptors, no memory */
constexpr uint16_t kLogSilence = 795;   /**< no AUTH in time */

class Server {
  public:
    /** The Channel: what happens in the check phase. */
    class Turn {
      public:
        virtual ~Turn() = default;
        virtual void RunTurn() = 0;
    };

    Server(std::shared_ptr<Loop> loop, ServerOptions options, Turn *turn);
    Server(const Server &) = delete;
    Server &operator=(const Server &) = delete;
    ~Server();

    /** Opens the handles of the loop. @return 0 or a negative error of libuv. */
    int Open();
    /** Begins to accept. @return 0 or a negative error of libuv. */
    int Listen();
    /** Accepts no more, and GOAWAY to everybody. */
    void Drain();
    /** Closes everything; nothing is called back any more. May be called within a turn. */
    void Close();
    void SetRef(bool ref);

    bool SomethingToDo() const;
    /** Reads from what is ready; events go to the batch. */
    void Collect(EventBatch *batch);
    void FlushDirty();
    /** Deletes connections that are closed. Only where no connection is being worked on. */
    void BuryGone();
    /** Blocking: writes what waits on all connections, for at most so long. */
    void FlushBlocking(int timeout_ms);
    /** From now on handles of the loop are left alone: the process ends. */
    void EnterExit()
    {
        exiting_ = true;
    }

    Connection *Find(int32_t id) const
    {
        return exchanges_.Find(id);
    }
    uint32_t in_hand() const
    {
        return exchanges_.in_hand();
    }
    std::vector<LogLine> TakeLog();
    bool closed() const
    {
        return closed_;
    }

    /* ---- by Connection ---- */

    bool full() const
    {
        return exchanges_.full();
    }
    bool draining() const
    {
        return draining_;
    }
    bool exiting() const
    {
        return exiting_;
    }
    const ServerOptions &options() const
    {
        return options_;
    }
    const std::shared_ptr<Loop> &loop() const
    {
        return loop_;
    }
    Exchanges &exchanges()
    {
        return exchanges_;
    }
    /** One for all connections: holds what one read() brought, until it is decoded. */
    std::vector<uint8_t> &read_buffer()
    {
        return read_buffer_;
    }
    void MarkReady(Connection *connection);
    void MarkDirty(Connection *connection);
    /** An event that did not come from reading: handed over with the next batch. */
    void Later(EventKind kind, int32_t id);
    /** At most some lines a second; what is over that is counted. */
    void Log(uint16_t code, const std::string &text);
    /** Grows with each exchange that ends: tells which connection was used last. */
    uint64_t NextUse()
    {
        return ++uses_;
    }
    /** One connection fewer that has not shown the secret. */
    void LeftGreeting()
    {
        greeting_--;
    }
    /** It is closed; deleted when no list holds it any more. */
    void Gone(Connection *connection);

  private:
    struct PlainEvent {
        EventKind kind;
        int32_t id;
    };
    static void OnListener(uv_poll_t *handle, int status, int events);
    static void OnPrepare(uv_prepare_t *handle);
    static void OnCheck(uv_check_t *handle);
    static void OnBackOff(uv_timer_t *handle);
    void Accept();
    bool AcceptOne();
    bool IsWelcome(int fd);
    void MakeRoomToGreet();
    static void OnGreetings(uv_timer_t *handle);
    void WatchGreetings();
    void Dismiss(Connection *connection);
    void DismissUnused();
    void BackOff(int error);
    void ReadHeldBack(EventBatch *batch);

    std::shared_ptr<Loop> loop_;
    ServerOptions options_;
    Turn *turn_;
    UvPoll listener_;
    UvPrepare prepare_;
    UvCheck check_;
    UvTimer wake_;      /**< so that poll does not block while events wait */
    UvTimer back_off_;  /**< until accept is tried again */
    UvTimer greetings_; /**< until those that have not shown the secret are looked at */
    bool listening_ = false;
    bool draining_ = false;
    bool closed_ = false;
    bool exiting_ = false;
    bool ref_ = true;
    uint8_t hello_[TSGI_FRAME_HEADER + TSGI_HELLO_SIZE];
    Exchanges exchanges_;
    std::vector<uint8_t> read_buffer_;
    std::vector<std::unique_ptr<Connection>> connections_;
    uint64_t accepted_ = 0, uses_ = 0;
    uint64_t complained_at_ = 0; /**< when the last failure of accept was logged */
    size_t greeting_ = 0;        /**< connections that have not shown the secret yet */
    std::vector<Connection *> ready_, dirty_, gone_;
    std::deque<Connection *> held_back_; /**< their heads stay unread: all is in hand */
    std::vector<PlainEvent> later_;
    std::vector<LogLine> log_;
    uint64_t log_second_ = 0;
    unsigned log_count_ = 0, log_dropped_ = 0;
};

} // namespace tsgi
#endif
