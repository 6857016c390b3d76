/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Writing: frames are appended to one block per connection, which leaves in one send() at
 * the end of the turn. Large pieces of a body leave at once, straight out of the app's
 * memory; only what the kernel does not take is copied. */
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "connection.h"
#include "fields.h"
#include "server.h"

namespace tsgi {

/* From here on a piece is worth a system call of its own. */
static constexpr size_t kLarge = size_t{16} * 1024;
/* Frames in one sendmsg(): 2 MiB at a time. */
static constexpr size_t kMostPieces = 32;

static bool IsTryAgain(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK;
}

void Connection::SetWantsWrite(bool wants)
{
    if (wants_write_ != wants) {
        wants_write_ = wants;
        UpdatePoll();
    }
}

/* One send(). @return false when nothing more can be written now (or ever: Closed). */
bool Connection::SendOnce(size_t *written)
{
    ssize_t n;
    do {
        n = send(fd_.get(), output_.data(), output_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    *written = n > 0 ? static_cast<size_t>(n) : 0;
    if (n < 0 && !IsTryAgain(errno)) {
        Close(); /* EPIPE, ECONNRESET: the peer has gone */
        return false;
    }
    return n >= 0;
}

void Connection::Flush()
{
    if (state_ != State::Closed && !output_.empty()) {
        size_t written;
        const size_t wanted = output_.size();
        (void)SendOnce(&written);
        if (state_ == State::Closed) {
            return;
        }
        output_.Consume(written);
        if (written < wanted) {
            SetWantsWrite(true);
        }
    }
    AfterWrite();
}

void Connection::AfterWrite()
{
    if (state_ == State::Closed) {
        return;
    }
    if (output_.empty()) {
        SetWantsWrite(false);
        if (state_ == State::Closing) {
            Close();
            return;
        }
        const bool is_half = upgrade_ == Upgrade::Tunnel && state_ == State::Receiving;
        if (answer_ == Answer::Ended && !is_half) {
            server_->Later(kEventFinish, id_);
            EndExchange();
            return;
        }
    }
    if (was_high_ && output_.size() < kLowWater && answer_ != Answer::Ended) {
        was_high_ = false;
        server_->Later(kEventDrain, id_);
    }
}

void Connection::Committed()
{
    if (state_ == State::Closed) {
        return;
    }
    if (output_.size() >= kHighWater && !wants_write_) {
        Flush();
    }
    if (!output_.empty()) {
        server_->MarkDirty(this);
    }
}

void Connection::EndResponse()
{
    if (state_ == State::Closed) {
        return;
    }
    answer_ = Answer::Ended;
    if (output_.empty()) {
        AfterWrite();
    }
}

void Connection::AppendEmpty(uint8_t type)
{
    if (state_ == State::Closed) {
        return;
    }
    if (!output_.AppendFrame(type, 0, nullptr, 0)) {
        OutOfMemory();
        return;
    }
    Committed();
}

void Connection::SendContinue()
{
    if (expects_ && answer_ == Answer::None) {
        expects_ = false;
        begun_ = true;
        AppendEmpty(TSGI_T_CONTINUE);
    }
}

bool Connection::SendStarted()
{
    begun_ = true;
    if (output_.AppendFrame(TSGI_T_STARTED, 0, nullptr, 0)) {
        size_t written = 1;
        while (!output_.empty() && written > 0 && SendOnce(&written)) {
            output_.Consume(written);
        }
    }
    if (state_ != State::Closed && output_.empty()) {
        SetWantsWrite(false);
        return true;
    }
    /* Apache has taken it back; or its buffer is full, which is as good: it reads no
     * STARTED, and gives the request to another worker when this connection ends. */
    Close();
    return false;
}

/* A head with this status hands the connection over to the app. */
bool Connection::BeginsTunnel(uint16_t status, bool fin) const
{
    return status == 101 && !fin && state_ == State::Received &&
           (upgrade_ == Upgrade::Asked || upgrade_ == Upgrade::Offered);
}

int Connection::AppendHead(uint8_t type, bool fin, const tsgi_response_t &head,
                           const std::vector<tsgi_field_t> &fields)
{
    const bool is_tunnel = BeginsTunnel(head.status, fin);
    if (head.status == 101 && !is_tunnel && upgrade_ != Upgrade::Passed) {
        return TSGI_E_VALUE;
    }
    const size_t most =
        TSGI_FRAME_HEADER + 4 + 5 + head.reason.len + MaxEncodedSize(fields);
    uint8_t *p = output_.Reserve(most);
    if (p == nullptr) {
        OutOfMemory();
        return 0;
    }
    const long n = tsgi_response_encode(p, most, type, fin ? TSGI_F_FIN : 0, &head,
                                        fields.data(), fields.size());
    if (n < 0) {
        return static_cast<int>(n);
    }
    output_.Commit(static_cast<size_t>(n));
    begun_ = true;
    if (type == TSGI_T_RESPONSE) {
        answer_ = Answer::Head;
    }
    if (is_tunnel) {
        upgrade_ = Upgrade::Tunnel;
        state_ = State::Receiving;
        server_->exchanges().Detach(id_);
    }
    Committed();
    return 0;
}

int Connection::AppendEnd(const std::vector<tsgi_field_t> &trailers)
{
    const size_t most = TSGI_FRAME_HEADER + 2 + MaxEncodedSize(trailers);
    uint8_t *p = output_.Reserve(most);
    if (p == nullptr) {
        OutOfMemory();
        return 0;
    }
    const long n =
        tsgi_trailers_encode(p, most, TSGI_T_END, trailers.data(), trailers.size());
    if (n < 0) {
        return static_cast<int>(n);
    }
    output_.Commit(static_cast<size_t>(n));
    Committed();
    return 0;
}

void Connection::AppendText(uint8_t type, uint16_t code, const char *text, size_t n)
{
    n = std::min<size_t>(n, TSGI_MAX_TEXT);
    const size_t most = TSGI_FRAME_HEADER + 4 + n;
    uint8_t *p = output_.Reserve(most);
    if (p == nullptr) {
        OutOfMemory();
        return;
    }
    const tsgi_text_t frame = {code, {text, static_cast<uint32_t>(n)}};
    const long size = tsgi_text_encode(p, most, type, &frame);
    if (size > 0) { /* the caller has checked what could be wrong */
        output_.Commit(static_cast<size_t>(size));
        Committed();
    }
}

uint8_t *Connection::ReserveData(size_t most)
{
    uint8_t *p = output_.Reserve(TSGI_FRAME_HEADER + most);
    if (p == nullptr) {
        OutOfMemory();
        return nullptr;
    }
    return p + TSGI_FRAME_HEADER;
}

void Connection::CommitData(size_t n, bool fin)
{
    uint8_t *p = output_.Reserve(TSGI_FRAME_HEADER + n); /* it was: nothing moves */
    tsgi_frame_encode(p, TSGI_T_DATA, fin ? TSGI_F_FIN : 0, static_cast<uint32_t>(n));
    output_.Commit(TSGI_FRAME_HEADER + n);
    Committed();
}

void Connection::AppendData(const uint8_t *bytes, size_t n, bool fin)
{
    if (n >= kLarge && !wants_write_) {
        WriteLarge(bytes, n, fin);
    }
    else {
        AppendPieces(bytes, n, fin);
    }
}

void Connection::AppendPieces(const uint8_t *bytes, size_t n, bool fin)
{
    while (n > 0) {
        const size_t piece = std::min(n, kDataPiece);
        const uint8_t flags = fin && piece == n ? TSGI_F_FIN : 0;
        if (!output_.AppendFrame(TSGI_T_DATA, flags, bytes, piece)) {
            OutOfMemory();
            return;
        }
        bytes += piece;
        n -= piece;
    }
    Committed();
}

void Connection::WriteLarge(const uint8_t *bytes, size_t n, bool fin)
{
    while (n > 0 && state_ != State::Closed && !wants_write_) {
        const size_t used = WritePieces(bytes, n, fin);
        bytes += used;
        n -= used;
    }
    if (state_ != State::Closed) {
        AppendPieces(bytes, n, fin);
    }
}

/* What waits, then frames of the app's bytes, as one message. */
struct Pieces {
    struct iovec iov[1 + 2 * kMostPieces];
    uint8_t headers[kMostPieces][TSGI_FRAME_HEADER];
    size_t first; /* of the frames: header and body in turn */
    size_t count;
};

static void LayOut(Pieces *out, const Output &waiting, const uint8_t *bytes, size_t n,
                   bool fin)
{
    out->count = 0;
    if (!waiting.empty()) {
        out->iov[out->count++] = {const_cast<uint8_t *>(waiting.data()), waiting.size()};
    }
    out->first = out->count;
    for (size_t i = 0; i < kMostPieces && n > 0; i++) {
        const size_t piece = std::min(n, kDataPiece);
        const uint8_t flags = fin && piece == n ? TSGI_F_FIN : 0;
        tsgi_frame_encode(out->headers[i], TSGI_T_DATA, flags,
                          static_cast<uint32_t>(piece));
        out->iov[out->count++] = {out->headers[i], TSGI_FRAME_HEADER};
        out->iov[out->count++] = {const_cast<uint8_t *>(bytes), piece};
        bytes += piece;
        n -= piece;
    }
}

static bool AppendRest(Output *output, const struct iovec &iov, size_t written)
{
    return output->Append(static_cast<const uint8_t *>(iov.iov_base) + written,
                          iov.iov_len - written);
}

/*
 * One sendmsg() with all output and some pieces. Of a piece that was written in part the
 * rest is appended.
 * @return bytes of the body that are done with.
 */
size_t Connection::WritePieces(const uint8_t *bytes, size_t n, bool fin)
{
    Pieces pieces;
    LayOut(&pieces, output_, bytes, n, fin);
    struct msghdr message = {};
    message.msg_iov = pieces.iov;
    message.msg_iovlen = pieces.count;
    ssize_t sent;
    do {
        sent = sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        if (IsTryAgain(errno)) {
            SetWantsWrite(true);
        }
        else {
            Close();
        }
        return 0;
    }
    size_t left = static_cast<size_t>(sent);
    const size_t old = std::min(left, output_.size());
    output_.Consume(old);
    left -= old;
    size_t done = 0;
    for (size_t i = pieces.first; i < pieces.count && left > 0; i += 2) {
        const struct iovec &header = pieces.iov[i], &body = pieces.iov[i + 1];
        const size_t of_header = std::min(left, header.iov_len);
        const size_t of_body = std::min(left - of_header, body.iov_len);
        left -= of_header + of_body;
        done += body.iov_len;
        if (!AppendRest(&output_, header, of_header) ||
            !AppendRest(&output_, body, of_body)) {
            OutOfMemory();
        }
    }
    return done;
}

} // namespace tsgi
