// AdmissionQueue: whose call gets the next free place when the runner is full, and how long that will take.
//
// Deficit round robin between tenants by what their calls cost in CPU time, not by how many there are: a tenant whose
// calls take 50 ms gets one place where one of 1 ms calls gets fifty. What a call costs is known only at its end, so it
// is charged what the tenant's calls usually cost and settled later. A claimant is a tenant that has calls which wait
// for nothing but room; those at their own concurrency stand outside.
//
// Intrusive, no allocation. Owner: Executions; one thread.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "base/time.h"

namespace bulkhead::runner {

class Claimant : public boost::intrusive::list_base_hook<boost::intrusive::tag<struct ClaimTag>,
                                                         boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  bool waits() const { return is_linked(); }

 private:
  friend class AdmissionQueue;
  std::int64_t credit_us_ = 0;
  std::int64_t usual_us_ = 0;  // moving average of what its calls cost
};

class AdmissionQueue {
 public:
  explicit AdmissionQueue(Micros quantum) : quantum_us_(quantum.count()) {}

  // Joins at the end of the round; nothing when it waits already.
  void wait(Claimant& claimant);
  void withdraw(Claimant& claimant);
  // Whose turn it is; it goes on waiting. null when nobody does.
  Claimant* next();
  // One of its calls was given a place; and, with what it was charged, has ended.
  std::int64_t admit(Claimant& claimant);
  void settle(Claimant& claimant, std::int64_t charged_us, Micros cost);
  std::size_t size() const { return ring_.size(); }

 private:
  // With auto_unlink hooks the size is counted on demand: a few dozen tenants at most wait at once.
  using Ring = boost::intrusive::list<Claimant, boost::intrusive::base_hook<Claimant>,
                                      boost::intrusive::constant_time_size<false>>;
  Ring ring_;
  std::int64_t quantum_us_;
};

// How long somebody at a position of a queue will wait, from how fast its head has moved lately. Where the head has not
// moved for longer than usual, that counts.
class WaitEstimate {
 public:
  // Somebody begins to wait where nobody did.
  void begin(SteadyTime now);
  // A place became free; `waiting` still wait.
  void moved(SteadyTime now, std::size_t waiting);
  Micros for_position(std::size_t position, SteadyTime now) const;

 private:
  SteadyTime last_{};
  bool contended_ = false;  // since last_ somebody has waited all the time
  std::int64_t interval_us_ = 0;
};

}  // namespace bulkhead::runner
