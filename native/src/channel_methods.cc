/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/*
 * The methods of Channel that concern one exchange. Hot: respond() and write() take their
 * arguments by plain Node-API calls and write strings straight into the output.
 */
#include <algorithm>
#include <string>

#include "channel.h"
#include "fields.h"
#include "util/errno_error.h"

namespace tsgi {

/* A string of at most so many bytes is encoded in place, without being measured first. */
static constexpr size_t kInPlace = kDataPiece;

Connection *Channel::Find(napi_value id) const
{
    int32_t number = 0;
    if (napi_get_value_int32(Env(), id, &number) != napi_ok) {
        return nullptr;
    }
    return server_->Find(number);
}

static bool ReadBool(napi_env env, napi_value value)
{
    bool result = false;
    (void)napi_get_value_bool(env, value, &result);
    return result;
}

/* A latin1 string into a buffer that is reused. @return false: no string, an error is pending. */
bool Channel::ReadText(napi_value text, std::vector<char> *out)
{
    napi_env env = Env();
    size_t length = 0;
    if (napi_get_value_string_latin1(env, text, nullptr, 0, &length) != napi_ok) {
        ThrowTypeError(env, "ERR_INVALID_ARG_TYPE", "expected a string");
        return false;
    }
    out->resize(length + 1);
    (void)napi_get_value_string_latin1(env, text, out->data(), length + 1, &length);
    out->resize(length);
    return true;
}

/* Fills fields_ from header text. */
static bool Split(Napi::Env env, const std::vector<char> &text,
                  std::vector<tsgi_field_t> *fields, bool keep_upgrade = false)
{
    fields->clear();
    if (SplitFields(text.data(), text.size(), keep_upgrade, fields)) {
        return true;
    }
    ThrowTypeError(env, "ERR_INVALID_CHAR",
                   "header text: expected lines of the form \"Name: value\\r\\n\"");
    return false;
}

/* What the encoder of the wire refuses, as an error for the app's developer. */
static void ThrowWireError(Napi::Env env, int error)
{
    const std::string what = tsgi_wire_strerror(error);
    switch (error) {
    case TSGI_E_NAME:
        ThrowTypeError(env, "ERR_INVALID_HTTP_TOKEN", "header name: " + what);
        break;
    case TSGI_E_TEXT:
        ThrowTypeError(env, "ERR_INVALID_CHAR", "header value or reason: " + what);
        break;
    case TSGI_E_VALUE:
        ThrowTypeError(env, "ERR_HTTP_INVALID_STATUS_CODE",
                       "status code, or number of headers: " + what);
        break;
    default:
        ThrowTypeError(env, "ERR_OUT_OF_RANGE", "header block: " + what);
        break;
    }
}

/* Arguments [status, reason?, headers] from position 1 on; views into text_ and reason_. */
bool Channel::ReadHead(const Napi::CallbackInfo &info, size_t headers_at, bool has_reason,
                       tsgi_response_t *head)
{
    uint32_t status = 0;
    if (napi_get_value_uint32(info.Env(), info[1], &status) != napi_ok ||
        status > UINT16_MAX) {
        ThrowWireError(info.Env(), TSGI_E_VALUE);
        return false;
    }
    reason_.clear();
    if ((has_reason && !ReadText(info[2], &reason_)) ||
        !ReadText(info[headers_at], &text_) ||
        !Split(info.Env(), text_, &fields_, status == 101)) {
        return false;
    }
    head->status = static_cast<uint16_t>(status);
    head->reason = {reason_.data(), static_cast<uint32_t>(reason_.size())};
    return true;
}

static void ThrowState(Napi::Env env, const char *message)
{
    Napi::Error error = Napi::Error::New(env, message);
    error.Set("code", Napi::String::New(env, "ERR_TSGI_STATE"));
    error.ThrowAsJavaScriptException();
}

Napi::Value Channel::JsStarted(const Napi::CallbackInfo &info)
{
    Connection *connection = Find(info[0]);
    return Napi::Boolean::New(info.Env(),
                              connection != nullptr && connection->SendStarted());
}

void Channel::JsSendContinue(const Napi::CallbackInfo &info)
{
    Connection *connection = Find(info[0]);
    if (connection != nullptr) {
        connection->SendContinue();
    }
}

void Channel::JsInform(const Napi::CallbackInfo &info)
{
    Connection *connection = Find(info[0]);
    if (connection == nullptr) {
        return;
    }
    if (connection->answer() != Connection::Answer::None) {
        ThrowState(info.Env(), "inform: the response has begun already");
        return;
    }
    tsgi_response_t head;
    if (!ReadHead(info, 2, false, &head)) {
        return;
    }
    const int error = connection->AppendHead(TSGI_T_INFORM, false, head, fields_);
    if (error != 0) {
        ThrowWireError(info.Env(), error);
    }
}

/*
 * Whether there is a body at all; an empty one is none.
 * @return false: neither a string nor bytes nor nothing; an error is pending.
 */
static bool CheckBody(napi_env env, napi_value body, bool *has_body)
{
    napi_valuetype type = napi_undefined;
    size_t length = 0;
    bool is_bytes = false;
    (void)napi_typeof(env, body, &type);
    if (type == napi_string) {
        (void)napi_get_value_string_latin1(env, body, nullptr, 0, &length);
    }
    else if (type != napi_undefined && type != napi_null) {
        void *bytes = nullptr;
        if (napi_is_buffer(env, body, &is_bytes) != napi_ok || !is_bytes ||
            napi_get_buffer_info(env, body, &bytes, &length) != napi_ok) {
            ThrowTypeError(
                env, "ERR_INVALID_ARG_TYPE",
                "a piece of a body is expected to be a string or a Uint8Array");
            return false;
        }
    }
    *has_body = length > 0;
    return true;
}

/*
 * What an app is told to wait for. When the peer has gone that is kHighWater: an app that writes
 * until it is told to pause would otherwise never come to hear of it.
 */
static Napi::Value WaitingOf(Napi::Env env, Connection *connection)
{
    const bool is_gone =
        connection == nullptr || connection->state() == Connection::State::Closed;
    return Napi::Number::New(
        env, static_cast<double>(is_gone ? kHighWater : connection->Waiting()));
}

Napi::Value Channel::JsRespond(const Napi::CallbackInfo &info)
{
    const Napi::Env env = info.Env();
    Connection *connection = Find(info[0]);
    if (connection == nullptr) {
        return WaitingOf(env, connection);
    }
    if (connection->answer() != Connection::Answer::None ||
        connection->state() == Connection::State::Awaiting) {
        ThrowState(env, "respond: the response has begun already");
        return env.Undefined();
    }
    tsgi_response_t head;
    if (!ReadHead(info, 3, true, &head)) {
        return env.Undefined();
    }
    const bool fin = ReadBool(env, info[6]);
    bool has_body;
    if (!CheckBody(env, info[4], &has_body)) {
        return env.Undefined();
    }
    const int error =
        connection->AppendHead(TSGI_T_RESPONSE, fin && !has_body, head, fields_);
    if (error != 0) {
        ThrowWireError(env, error);
        return env.Undefined();
    }
    if (has_body) {
        AppendBody(connection, info[4], ReadBool(env, info[5]), fin);
    }
    if (fin) {
        connection->EndResponse();
    }
    return WaitingOf(env, connection);
}

Napi::Value Channel::JsWrite(const Napi::CallbackInfo &info)
{
    const Napi::Env env = info.Env();
    Connection *connection = Find(info[0]);
    if (connection == nullptr) {
        return WaitingOf(env, connection);
    }
    if (connection->answer() == Connection::Answer::Ended) {
        return Napi::Number::New(env, 0);
    }
    if (connection->answer() == Connection::Answer::None) {
        ThrowState(env, "write: respond comes first");
        return env.Undefined();
    }
    const bool fin = ReadBool(env, info[3]);
    bool has_body;
    if (!CheckBody(env, info[1], &has_body)) {
        return env.Undefined();
    }
    if (has_body) {
        AppendBody(connection, info[1], ReadBool(env, info[2]), fin);
    }
    else if (fin) {
        connection->AppendEmpty(TSGI_T_END);
    }
    if (fin) {
        connection->EndResponse();
    }
    return WaitingOf(env, connection);
}

/* Only what CheckBody() has let pass. */
void Channel::AppendBody(Connection *connection, napi_value body, bool latin1, bool fin)
{
    napi_valuetype type = napi_undefined;
    (void)napi_typeof(Env(), body, &type);
    if (type == napi_string) {
        AppendString(connection, body, latin1, fin);
        return;
    }
    void *bytes = nullptr;
    size_t n = 0;
    (void)napi_get_buffer_info(Env(), body, &bytes, &n);
    connection->AppendData(static_cast<const uint8_t *>(bytes), n, fin);
}

void Channel::AppendString(Connection *connection, napi_value body, bool latin1, bool fin)
{
    napi_env env = Env();
    const auto encode =
        latin1 ? &napi_get_value_string_latin1 : &napi_get_value_string_utf8;
    size_t units = 0; /* UTF-16 units; each takes at most 3 bytes of UTF-8 */
    (void)napi_get_value_string_latin1(env, body, nullptr, 0, &units);
    size_t n = latin1 ? units : 3 * units;
    if (n <= kInPlace) {
        uint8_t *p = connection->ReserveData(n + 1); /* Node-API ends it with a NUL */
        if (p != nullptr) {
            (void)encode(env, body, reinterpret_cast<char *>(p), n + 1, &n);
            connection->CommitData(n, fin);
        }
        return;
    }
    (void)encode(env, body, nullptr, 0, &n);
    text_.resize(n + 1);
    (void)encode(env, body, text_.data(), n + 1, &n);
    connection->AppendData(reinterpret_cast<const uint8_t *>(text_.data()), n, fin);
    if (text_.size() > kInPlace) {
        std::vector<char>().swap(text_);
    }
}

void Channel::JsEnd(const Napi::CallbackInfo &info)
{
    Connection *connection = Find(info[0]);
    if (connection == nullptr || connection->answer() == Connection::Answer::Ended) {
        return;
    }
    if (connection->answer() == Connection::Answer::None) {
        ThrowState(info.Env(), "end: respond comes first");
        return;
    }
    if (!ReadText(info[1], &text_) || !Split(info.Env(), text_, &fields_)) {
        return;
    }
    const int error = connection->AppendEnd(fields_);
    if (error != 0) {
        ThrowWireError(info.Env(), error);
        return;
    }
    connection->EndResponse();
}

/* UTF-8 of a text that is for a log; cut by the wire if it is too long. */
static std::string Utf8(const Napi::Value &value)
{
    return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

void Channel::JsAbort(const Napi::CallbackInfo &info)
{
    Connection *connection = Find(info[0]);
    uint32_t code = 0;
    if (connection == nullptr) {
        return;
    }
    if (napi_get_value_uint32(info.Env(), info[1], &code) != napi_ok || code > 9999) {
        ThrowTypeError(info.Env(), "ERR_OUT_OF_RANGE",
                       "abort: the code is expected to be the N of TSGI<N>");
        return;
    }
    if (connection->answer() != Connection::Answer::Ended) {
        const std::string text = Utf8(info[2]);
        connection->Abort(static_cast<uint16_t>(code), text.data(), text.size());
    }
}

void Channel::JsRefuse(const Napi::CallbackInfo &info)
{
    Connection *connection = Find(info[0]);
    if (connection != nullptr && !connection->Refuse()) {
        ThrowState(info.Env(), "refuse: the request was begun already");
    }
}

Napi::Value Channel::JsRequestSocket(const Napi::CallbackInfo &info)
{
    Connection *connection = Find(info[0]);
    return Napi::Boolean::New(info.Env(),
                              connection != nullptr && connection->RequestSocket());
}

void Channel::JsHangUp(const Napi::CallbackInfo &info)
{
    Connection *connection = Find(info[0]);
    if (connection != nullptr) {
        connection->HangUp();
    }
}

void Channel::JsLog(const Napi::CallbackInfo &info)
{
    Connection *connection = Find(info[0]);
    uint32_t level = 0;
    if (connection == nullptr || connection->answer() == Connection::Answer::Ended) {
        return;
    }
    if (napi_get_value_uint32(info.Env(), info[1], &level) != napi_ok || level > 7) {
        ThrowTypeError(info.Env(), "ERR_OUT_OF_RANGE",
                       "log: the level is expected to be 0 to 7, as in syslog(3)");
        return;
    }
    const std::string text = Utf8(info[2]);
    connection->AppendText(TSGI_T_LOG, static_cast<uint16_t>(level), text.data(),
                           text.size());
}

void Channel::JsPause(const Napi::CallbackInfo &info)
{
    Connection *connection = Find(info[0]);
    if (connection != nullptr && connection->state() == Connection::State::Receiving) {
        connection->SetPaused(true);
    }
}

void Channel::JsResume(const Napi::CallbackInfo &info)
{
    Connection *connection = Find(info[0]);
    if (connection != nullptr) {
        connection->SetPaused(false);
    }
}

} // namespace tsgi
