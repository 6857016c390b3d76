/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "exit_flush.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

namespace tsgi {

namespace {

struct Entry {
    ExitFlushable *flushable;
    std::thread::id thread;
};

struct Registry {
    std::mutex mutex;
    std::vector<Entry> entries;
    bool is_hooked = false;
};

/* Never destroyed: the handler of exit(3) may run after the destructors of statics. */
Registry &TheRegistry()
{
    static Registry *const registry = new Registry();
    return *registry;
}

std::vector<Entry> EntriesOfThisThread()
{
    Registry &registry = TheRegistry();
    const std::lock_guard<std::mutex> lock(registry.mutex);
    std::vector<Entry> mine;
    for (const Entry &entry : registry.entries) {
        if (entry.thread == std::this_thread::get_id()) {
            mine.push_back(entry);
        }
    }
    return mine;
}

void FlushAll()
{
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + std::chrono::milliseconds(kExitFlushMs);
    for (const Entry &entry : EntriesOfThisThread()) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - Clock::now());
        entry.flushable->FlushAtExit(std::max(0, static_cast<int>(left.count())));
    }
}

} // namespace

void AddExitFlush(ExitFlushable *flushable)
{
    Registry &registry = TheRegistry();
    const std::lock_guard<std::mutex> lock(registry.mutex);
    registry.entries.push_back({flushable, std::this_thread::get_id()});
    if (!registry.is_hooked) {
        registry.is_hooked = atexit(&FlushAll) == 0;
    }
}

void RemoveExitFlush(ExitFlushable *flushable)
{
    Registry &registry = TheRegistry();
    const std::lock_guard<std::mutex> lock(registry.mutex);
    auto &entries = registry.entries;
    entries.erase(std::remove_if(entries.begin(), entries.end(),
                                 [flushable](const Entry &entry) {
                                     return entry.flushable == flushable;
                                 }),
                  entries.end());
}

} // namespace tsgi
