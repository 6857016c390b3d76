/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Life of a connection, what is polled, and the exchange. Reading is in
 * connection_read.cc, writing in connection_write.cc. */
#include "connection.h"

#include <sys/socket.h>

#include <cerrno>

#include "server.h"

namespace tsgi {

Connection::Connection(Server *server, Fd fd) : server_(server), fd_(std::move(fd))
{
}

Connection::~Connection() = default;

int Connection::Start(const uint8_t hello[TSGI_FRAME_HEADER + TSGI_HELLO_SIZE])
{
    constexpr size_t size = TSGI_FRAME_HEADER + TSGI_HELLO_SIZE;
    /* Nothing can be in the way of so few bytes on a new socket but a peer that left. */
    const ssize_t sent = send(fd_.get(), hello, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != static_cast<ssize_t>(size)) {
        const int error = sent < 0 ? errno : EPIPE;
        Close();
        return error;
    }
    const int opened = poll_.Open(server_->loop(), this, [this](uv_poll_t *handle) {
        return uv_poll_init(server_->loop()->uv(), handle, fd_.get());
    });
    if (opened < 0) {
        Close();
        return -opened;
    }
    /* Whether the loop stays alive is decided by one handle of the Server alone. */
    poll_.SetRef(false);
    UpdatePoll();
    return 0;
}

void Connection::UpdatePoll()
{
    if (!poll_ || server_->exiting()) {
        return;
    }
    /* Where bytes stay unread on purpose, that the peer has gone must still be noticed. */
    const bool reads = state_ != State::Closing && !paused_ && !is_held_back;
    int wanted = reads ? UV_READABLE : UV_DISCONNECT;
    if (wants_write_) {
        wanted |= UV_WRITABLE;
    }
    if (wanted == polled_) {
        return;
    }
    polled_ = wanted;
    if (uv_poll_start(poll_.get(), wanted, &Connection::OnPoll) < 0) {
        Close();
    }
}

void Connection::OnPoll(uv_poll_t *handle, int status, int events)
{
    Connection *self = UvPoll::OwnerOf<Connection>(handle);
    const bool reads = (self->polled_ & UV_READABLE) != 0;
    if (status < 0) {
        /* An error on the socket; libuv has stopped polling. What came before it is still
         * read, and the read after that tells the error. */
        self->polled_ = 0;
        if (!reads) {
            self->Close();
            return;
        }
        events = UV_READABLE;
    }
    if ((events & UV_DISCONNECT) != 0) {
        self->Close();
        return;
    }
    if ((events & UV_READABLE) != 0) {
        self->server_->MarkReady(self);
    }
    if ((events & UV_WRITABLE) != 0) {
        self->Flush();
    }
}

void Connection::Close()
{
    if (state_ == State::Closed) {
        return;
    }
    if (state_ == State::Greeting) {
        server_->LeftGreeting();
    }
    state_ = State::Closed;
    if (id_ != 0) {
        server_->Later(kEventClose, id_);
        EndExchange();
    }
    if (!server_->exiting()) {
        poll_.Close(); /* before the descriptor, which libuv takes out of its set */
    }
    fd_.Reset();
    passed_.Reset();
    output_.Clear();
    piece_.Drop();
    server_->Gone(this);
}

/* The exchange is over, in whatever way; whoever waits for it is told elsewhere. */
void Connection::EndExchange()
{
    server_->exchanges().End(id_);
    last_use = server_->NextUse();
    id_ = 0;
    answer_ = Answer::None;
    upgrade_ = Upgrade::None;
    piece_limit_ = kFirstPiece;
    begun_ = was_high_ = false;
    if (state_ == State::Receiving) {
        state_ = State::Discarding;
    }
    else if (state_ == State::Received || state_ == State::Awaiting) {
        state_ = State::Idle;
    }
    if (paused_) {
        paused_ = false;
        UpdatePoll();
    }
}

bool Connection::IsUnused() const
{
    char byte;
    return (state_ == State::Idle || state_ == State::Greeting) && !is_ready &&
           !is_held_back && !is_within_frame() && output_.empty() &&
           recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

void Connection::GoAway()
{
    if (state_ != State::Closing && state_ != State::Closed) {
        AppendEmpty(TSGI_T_GOAWAY);
    }
}

bool Connection::Refuse()
{
    if (begun_) {
        return false;
    }
    EndExchange();
    AppendEmpty(TSGI_T_REFUSED);
    return true;
}

bool Connection::RequestSocket()
{
    if (state_ != State::Received || upgrade_ != Upgrade::Offered ||
        answer_ != Answer::None) {
        return false;
    }
    begun_ = true;
    state_ = State::Awaiting;
    AppendEmpty(TSGI_T_UPGRADE);
    return true;
}

void Connection::HangUp()
{
    const bool is_open = upgrade_ == Upgrade::Tunnel && answer_ != Answer::Ended;
    EndExchange();
    state_ = State::Closing;
    if (is_open) {
        AppendEmpty(TSGI_T_END);
    }
    UpdatePoll();
    Flush();
}

void Connection::Abort(uint16_t code, const char *text, size_t n)
{
    EndExchange();
    state_ = State::Closing;
    AppendText(TSGI_T_ABORT, code, text, n);
    UpdatePoll();
}

void Connection::SetPaused(bool paused)
{
    if (paused_ != paused) {
        paused_ = paused;
        UpdatePoll();
    }
}

size_t Connection::Waiting()
{
    const size_t waiting = output_.size();
    if (waiting >= kHighWater) {
        was_high_ = true;
    }
    return waiting;
}

void Connection::OutOfMemory()
{
    server_->Log(kLogResources,
                 "no memory for what is to be sent; a connection is closed");
    Close();
}

} // namespace tsgi
