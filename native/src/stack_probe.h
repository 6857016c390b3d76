/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file stack_probe.h
 * The JavaScript stack of a thread that does not come back to its event loop. Another thread
 * wants it; V8 runs a callback of ours between two steps of the JavaScript that blocks, be it
 * an endless loop or a long regular expression. A thread that waits in a system call, or in
 * C++ that never asks, does not come that far: nothing is then had.
 *
 * Node-API has no word for this, so that a few functions of V8 are looked up by name when
 * they are needed. They have had the same names and forms from Node 20 to 26, which a test
 * looks at; where one is missing, there is no stack, and nothing else is lost.
 */
#ifndef TSGI_STACK_PROBE_H
#define TSGI_STACK_PROBE_H

#include <node_api.h>

#include <atomic>
#include <memory>
#include <string>

namespace tsgi {

class StackProbe {
  public:
    /** On the thread whose stack it will be, as the destructor. */
    explicit StackProbe(napi_env env);
    StackProbe(const StackProbe &) = delete;
    StackProbe &operator=(const StackProbe &) = delete;
    /** A callback that V8 still has does nothing when it comes. */
    ~StackProbe();

    /** Any thread, one at a time. @return false if this Node lacks what is needed. */
    bool Request();
    /** The thread that requested. @return whether *stack is there: a JSON string's inside. */
    bool Take(std::string *stack);
    /** The thread that requested: it is not wanted any more. */
    void Cancel();

  private:
    struct Request_;
    napi_env env_;
    void *isolate_;
    std::shared_ptr<Request_> request_; /**< null when nothing is wanted */
};

} // namespace tsgi
#endif
