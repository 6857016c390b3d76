/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file exchanges.h
 * The exchanges in hand, by the id that JavaScript knows them by. An id is a place in a
 * table and a number that grows with each use of the place: an id that is over is
 * recognised. Places are reused in turn, so an id comes back after two thousand million
 * exchanges at the earliest. Loop thread only.
 */
#ifndef TSGI_EXCHANGES_H
#define TSGI_EXCHANGES_H

#include <cstdint>
#include <vector>

namespace tsgi {

class Connection;

class Exchanges {
  public:
    static constexpr uint32_t kMost = 65536;

    /** @param limit 1..kMost: most exchanges in hand. */
    explicit Exchanges(uint32_t limit) : limit_(limit)
    {
        while ((1u << bits_) < limit) {
            bits_++;
        }
        places_.resize(size_t{1} << bits_);
        free_.reserve(places_.size());
        for (uint32_t i = 0; i < places_.size(); i++) {
            free_.push_back(i);
        }
    }

    uint32_t in_hand() const
    {
        return in_hand_;
    }
    bool full() const
    {
        return in_hand_ >= limit_;
    }
    /** Only if not full(). @return the id, > 0. */
    int32_t Begin(Connection *connection)
    {
        const uint32_t place = free_[next_free_];
        next_free_ = (next_free_ + 1) % free_.size();
        Place &p = places_[place];
        p.sequence = (p.sequence + 1) & (INT32_MAX >> bits_);
        if (p.sequence == 0) {
            p.sequence = 1; /* ids are never 0 */
        }
        p.connection = connection;
        in_hand_++;
        return static_cast<int32_t>((p.sequence << bits_) | place);
    }
    /** @return null if that exchange is over. */
    Connection *Find(int32_t id) const
    {
        const uint32_t value = static_cast<uint32_t>(id);
        const Place &p = places_[value & (places_.size() - 1)];
        return id > 0 && p.sequence == value >> bits_ ? p.connection : nullptr;
    }
    /** Only for an id that Find() finds. */
    void End(int32_t id)
    {
        const uint32_t place =
            static_cast<uint32_t>(id) & static_cast<uint32_t>(places_.size() - 1);
        places_[place].connection = nullptr;
        in_hand_--;
        const size_t used = in_hand_ + 1;
        free_[(next_free_ + free_.size() - used) % free_.size()] = place;
    }

  private:
    struct Place {
        Connection *connection = nullptr;
        uint32_t sequence = 0;
    };
    uint32_t limit_;
    uint32_t bits_ = 0;
    uint32_t in_hand_ = 0;
    std::vector<Place> places_;
    /** A ring: from next_free_ on the free places, in the order in which they came free. */
    std::vector<uint32_t> free_;
    size_t next_free_ = 0;
};

} // namespace tsgi
#endif
