/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file connection.h
 * One connection from an Apache child: its state, the frame that is being read, the output
 * that waits. Made by Server when it accepts, deleted by Server some time after Close().
 *
 * States, and what leads from one to the next:
 *
 *   Greeting    HELLO sent           AUTH             -> Idle
 *   Idle        nothing in hand      REQUEST          -> Receiving or Received
 *   Receiving   body comes in        BODY_END         -> Received
 *                                    response written -> Discarding
 *   Received    request complete     response written -> Idle
 *                                    UPGRADE sent     -> Awaiting
 *                                    101 written      -> Receiving
 *   Awaiting    the client's descriptor is to come
 *                                    SOCKET           -> Received
 *   Discarding  response over, the rest of the body is thrown away
 *                                    BODY_END         -> Idle
 *   Closing     a last frame (ABORT) is to be written; then Closed
 *   Closed      the descriptor is closed
 *
 * A violation by the peer, an error or the end of the stream leads to Closed from
 * everywhere. An exchange (with an id) exists from REQUEST until its response has been
 * written, or until Closed. That of a tunnel, which begins with the response 101, also
 * exists until the client has ended its half. Loop thread only.
 */
#ifndef TSGI_CONNECTION_H
#define TSGI_CONNECTION_H

#include <cstdint>
#include <string>
#include <vector>

#include "body_piece.h"
#include "event_batch.h"
#include "output.h"
#include "util/fd.h"
#include "util/loop.h"
#include "wire/tsgi_wire.h"

namespace tsgi {

class Server;

/** Most bytes of a body that are handed over at once to an app that has not taken a piece yet. */
constexpr size_t kFirstPiece = size_t{64} * 1024;
/** With so many bytes waiting the app should pause; below the second it may go on. */
constexpr size_t kHighWater = size_t{64} * 1024;
constexpr size_t kLowWater = size_t{16} * 1024;
/** Most bytes of a body in one DATA frame: Apache passes frame by frame on. */
constexpr size_t kDataPiece = size_t{64} * 1024;
static_assert(kDataPiece <= TSGI_MAX_DATA, "a piece must fit into a frame");

class Connection {
  public:
    Connection(Server *server, Fd fd);
    Connection(const Connection &) = delete;
    Connection &operator=(const Connection &) = delete;
    ~Connection();

    /** Sends HELLO and begins to poll. @return 0 or an errno; then it is Closed. */
    int Start(const uint8_t hello[TSGI_FRAME_HEADER + TSGI_HELLO_SIZE]);

    /* ---- by Server, once per turn ---- */

    /** Reads and decodes once. Events go to the batch. */
    void Read(EventBatch *batch);
    /** Writes as much as the kernel takes; the exchange may end by that. */
    void Flush();
    /** Announces that no new request is taken. */
    void GoAway();
    /** Closes without a word. An exchange that was not over gets EVENT_CLOSE. */
    void Close();

    /* ---- by Channel, for the exchange in hand ---- */

    /** @return false if the request was taken back: Closed. */
    bool SendStarted();
    /** CONTINUE, if the request waits for it. */
    void SendContinue();
    /** An empty frame. */
    void AppendEmpty(uint8_t type);
    /** A response head. @return 0 or TSGI_E_*: then nothing was written. */
    int AppendHead(uint8_t type, bool fin, const tsgi_response_t &head,
                   const std::vector<tsgi_field_t> &fields);
    /** END with trailers. @return as AppendHead(). */
    int AppendEnd(const std::vector<tsgi_field_t> &trailers);
    /** Body bytes of any number; large ones are written at once, without a copy. */
    void AppendData(const uint8_t *bytes, size_t n, bool fin);
    /** ABORT or LOG. */
    void AppendText(uint8_t type, uint16_t code, const char *text, size_t n);
    /**
     * Room for a DATA frame whose payload the caller writes itself, at most so many bytes.
     * CommitData() follows. @return where the payload goes; null: no memory, Closed.
     */
    uint8_t *ReserveData(size_t most);
    void CommitData(size_t n, bool fin);
    /** Something was appended: it is written at the end of the turn, or now if it is much. */
    void Committed();
    /** The response is complete with what was appended. */
    void EndResponse();
    /**
     * The request was not begun: REFUSED, and the exchange is gone without an event.
     * @return false if it was begun: then nothing happens.
     */
    bool Refuse();
    /** UPGRADE: Apache is to send the client's descriptor. @return false: it did not offer. */
    bool RequestSocket();
    /**
     * Ends a tunnel both ways, or an exchange whose client was handed over: gone without an
     * event; closes when what waits is written.
     */
    void HangUp();
    /** ABORT, and the exchange is gone without an event; closes when it is written. */
    void Abort(uint16_t code, const char *text, size_t n);
    void SetPaused(bool paused);
    /** Bytes that wait; remembers that the app was told to pause. */
    size_t Waiting();

    enum class State {
        Greeting,
        Idle,
        Receiving,
        Received,
        Awaiting,
        Discarding,
        Closing,
        Closed
    };
    /** How far the response of the exchange is. */
    enum class Answer { None, Head, Ended };
    /** What has become of the client's wish for another protocol. */
    enum class Upgrade { None, Asked, Offered, Passed, Tunnel };

    State state() const
    {
        return state_;
    }
    Answer answer() const
    {
        return answer_;
    }
    int fd() const
    {
        return fd_.get();
    }
    /** The kernel's buffer is full: to be written when poll says so. */
    bool is_blocked() const
    {
        return wants_write_;
    }
    bool has_output() const
    {
        return !output_.empty();
    }
    /** Some bytes of a frame have been read, so the rest is read as well. */
    bool is_within_frame() const
    {
        return !partial_.empty() || body_left_ > 0;
    }

    /** Nothing is in hand, to be read or to be written: closing it costs nobody a request. */
    bool IsUnused() const;

    /** Places in Server's lists; Server's own. */
    bool is_ready = false;
    bool is_dirty = false;
    bool is_held_back = false;
    size_t place = 0;
    uint64_t serial = 0;      /**< in the order in which they were accepted */
    uint64_t accepted_at = 0; /**< on the clock of the loop, in ms */
    uint64_t last_use = 0;    /**< Server::NextUse() when its last exchange ended */
    void UpdatePoll();

  private:
    static void OnPoll(uv_poll_t *handle, int status, int events);
    void Decode(const uint8_t *p, size_t n, EventBatch *batch);
    size_t DecodePartial(const uint8_t *p, size_t n, EventBatch *batch);
    size_t DecodeWhole(const uint8_t *p, size_t n, EventBatch *batch);
    bool Admit(const tsgi_frame_t &frame);
    void Handle(const tsgi_frame_t &frame, const uint8_t *payload, EventBatch *batch);
    void HandleAuth(const tsgi_frame_t &frame, const uint8_t *payload);
    void HandleRequest(const tsgi_frame_t &frame, const uint8_t *payload,
                       EventBatch *batch);
    void HandleBodyEnd(const tsgi_frame_t &frame, const uint8_t *payload,
                       EventBatch *batch);
    void HandleSocket(const tsgi_frame_t &frame, const uint8_t *payload,
                      EventBatch *batch);
    ssize_t Receive(uint8_t *buffer, size_t size);
    size_t MostToRead(size_t size) const;
    ssize_t ReceiveBody(uint8_t *behind);
    size_t FillPiece(size_t n, EventBatch *batch);
    bool OpenPiece(EventBatch *batch);
    ssize_t ReceiveSocket(uint8_t *buffer, size_t size);
    void KeepOnly(const uint8_t *descriptors, size_t count);
    bool TakesBody() const;
    bool BeginsTunnel(uint16_t status, bool fin) const;
    void TakeBody(const uint8_t *p, size_t n, EventBatch *batch);
    void Violate(const char *what);
    void OutOfMemory();
    bool SendOnce(size_t *written);
    void WriteLarge(const uint8_t *bytes, size_t n, bool fin);
    size_t WritePieces(const uint8_t *bytes, size_t n, bool fin);
    void AppendPieces(const uint8_t *bytes, size_t n, bool fin);
    void AfterWrite();
    void SetWantsWrite(bool wants);
    void EndExchange();

    Server *server_;
    Fd fd_;
    UvPoll poll_;
    int polled_ = 0;
    State state_ = State::Greeting;
    Answer answer_ = Answer::None;
    Upgrade upgrade_ = Upgrade::None;
    Fd passed_;      /**< came, but its SOCKET not yet whole */
    int32_t id_ = 0; /**< of the exchange, 0 = none */
    bool paused_ = false;
    bool expects_ = false;     /**< Expect: 100-continue, and CONTINUE was not sent yet */
    bool begun_ = false;       /**< something of the exchange was answered */
    bool wants_write_ = false; /**< the kernel's buffer is full */
    bool was_high_ = false;    /**< the app was told to pause, and waits for DRAIN */
    uint32_t body_left_ = 0;   /**< of the BODY frame that is being read */
    BodyPiece piece_; /**< what comes next of that frame goes there, if it is open */
    size_t piece_limit_ = kFirstPiece; /**< of the exchange */
    std::vector<uint8_t> partial_; /**< a frame, but for BODY, that has not come whole */
    Output output_;
};

} // namespace tsgi
#endif
