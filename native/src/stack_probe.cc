/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "stack_probe.h"

#include <dlfcn.h>

#include <algorithm>

namespace tsgi {

/* ---- V8, as far as it is needed -------------------------------------------------------- */

/* v8::Local<T> is a pointer to a slot, as napi_value is; it is null when empty. */
using Local = napi_value;

/* v8::Location, both counted from 0. */
struct Location {
    int line, column;
};

static constexpr int kDetailed = 0x7f; /* StackTrace::kDetailed */

struct V8 {
    void *(*isolate)();
    void (*interrupt)(void *isolate, void (*callback)(void *isolate, void *data),
                      void *data);
    Local (*stack)(void *isolate, int limit, int options);
    int (*count)(const void *stack);
    Local (*frame)(const void *stack, void *isolate, uint32_t index);
    Local (*function)(const void *frame);
    Local (*script)(const void *frame);
    Location (*location)(const void *frame);

    /** Those that are missing are null. */
    static const V8 &Get();
    bool IsWhole() const
    {
        return isolate && interrupt && stack && count && frame && function && script &&
               location;
    }
};

template <typename Function>
static void LookUp(Function **function, const char *name)
{
    *function = reinterpret_cast<Function *>(dlsym(RTLD_DEFAULT, name));
}

const V8 &V8::Get()
{
    static const V8 found = [] {
        V8 v8 = {};
        LookUp(&v8.isolate, "_ZN2v87Isolate10GetCurrentEv");
        LookUp(&v8.interrupt, "_ZN2v87Isolate16RequestInterruptEPFvPS0_PvES2_");
        LookUp(&v8.stack, "_ZN2v810StackTrace17CurrentStackTraceEPNS_7IsolateEiNS0_"
                          "17StackTraceOptionsE");
        LookUp(&v8.count, "_ZNK2v810StackTrace13GetFrameCountEv");
        LookUp(&v8.frame, "_ZNK2v810StackTrace8GetFrameEPNS_7IsolateEj");
        LookUp(&v8.function, "_ZNK2v810StackFrame15GetFunctionNameEv");
        LookUp(&v8.script, "_ZNK2v810StackFrame24GetScriptNameOrSourceURLEv");
        LookUp(&v8.location, "_ZNK2v810StackFrame11GetLocationEv");
        return v8;
    }();
    return found;
}

/* ---- text ------------------------------------------------------------------------------ */

static constexpr int kMostFrames = 50;
static constexpr size_t kLongestName = 1024;
/* The whole message stays below 16 KiB, which a socket takes in one piece. */
static constexpr size_t kLongestStack = size_t{15} * 1024;

/* As encodeMessage() of src/ipc/messages.ts does: ASCII, whatever comes. */
static void AppendEscaped(std::string *out, const char16_t *units, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        const char16_t unit = units[i];
        if (unit >= 0x20 && unit < 0x7f && unit != '"' && unit != '\\') {
            out->push_back(static_cast<char>(unit));
            continue;
        }
        out->append("\\u");
        for (int shift = 12; shift >= 0; shift -= 4) {
            out->push_back(digits[(unit >> shift) & 15]);
        }
    }
}

/* @return false if it is no string, or an empty one. */
static bool AppendText(std::string *out, napi_env env, Local text)
{
    char16_t units[kLongestName + 1];
    size_t n = 0;
    if (text == nullptr ||
        napi_get_value_string_utf16(env, text, units, kLongestName + 1, &n) != napi_ok ||
        n == 0) {
        return false;
    }
    AppendEscaped(out, units, n);
    return true;
}

/* `at name (file:line:column)`, or `at file:line:column`, as in the stack of an Error. */
static std::string FrameText(const V8 &v8, napi_env env, Local frame)
{
    std::string name, file;
    const bool has_name = AppendText(&name, env, v8.function(frame));
    if (!AppendText(&file, env, v8.script(frame))) {
        file = "<anonymous>";
    }
    const Location at = v8.location(frame);
    file += ':' + std::to_string(at.line + 1) + ':' + std::to_string(at.column + 1);
    return has_name ? "at " + name + " (" + file + ')' : "at " + file;
}

static std::string StackText(const V8 &v8, napi_env env, void *isolate)
{
    std::string text;
    const Local stack = v8.stack(isolate, kMostFrames, kDetailed);
    const int count = stack == nullptr ? 0 : std::min(v8.count(stack), kMostFrames);
    for (int i = 0; i < count; i++) {
        const Local frame = v8.frame(stack, isolate, static_cast<uint32_t>(i));
        const std::string line = frame == nullptr ? "" : FrameText(v8, env, frame);
        if (text.size() + line.size() + 2 > kLongestStack) {
            break;
        }
        text += (text.empty() ? "" : "\\n") + line;
    }
    return text;
}

/* ---- the request ----------------------------------------------------------------------- */

enum class Phase { kWanted, kTaking, kTaken, kCancelled };

struct StackProbe::Request_ {
    explicit Request_(napi_env env_of_it) : env(env_of_it)
    {
    }
    const napi_env env;
    std::atomic<Phase> phase{Phase::kWanted};
    std::string stack; /**< written in kTaking, read from kTaken on */

    static void OnInterrupt(void *isolate, void *data);
};

/* On the thread that blocks, between two steps of its JavaScript: nothing may run any here. */
void StackProbe::Request_::OnInterrupt(void *isolate, void *data)
{
    const std::unique_ptr<std::shared_ptr<Request_>> held(
        static_cast<std::shared_ptr<Request_> *>(data));
    Request_ *self = held->get();
    Phase wanted = Phase::kWanted;
    if (!self->phase.compare_exchange_strong(wanted, Phase::kTaking)) {
        return;
    }
    napi_handle_scope scope = nullptr;
    if (napi_open_handle_scope(self->env, &scope) == napi_ok) {
        self->stack = StackText(V8::Get(), self->env, isolate);
        napi_close_handle_scope(self->env, scope);
    }
    self->phase = Phase::kTaken;
}

StackProbe::StackProbe(napi_env env)
    : env_(env), isolate_(V8::Get().IsWhole() ? V8::Get().isolate() : nullptr)
{
}

StackProbe::~StackProbe()
{
    Cancel();
}

bool StackProbe::Request()
{
    if (isolate_ == nullptr) {
        return false;
    }
    request_ = std::make_shared<Request_>(env_);
    /* What V8 holds is given up when the callback comes, and lost if it never does. */
    V8::Get().interrupt(isolate_, &Request_::OnInterrupt,
                        new std::shared_ptr<Request_>(request_));
    return true;
}

bool StackProbe::Take(std::string *stack)
{
    if (!request_ || request_->phase != Phase::kTaken) {
        return false;
    }
    *stack = std::move(request_->stack);
    request_.reset();
    return true;
}

void StackProbe::Cancel()
{
    if (request_) {
        Phase wanted = Phase::kWanted;
        (void)request_->phase.compare_exchange_strong(wanted, Phase::kCancelled);
        request_.reset();
    }
}

} // namespace tsgi
