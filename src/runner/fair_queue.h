// FairQueue: which ready execution runs next. Deficit round robin (Shreedhar & Varghese 1995) between flows, one flow
// per tenant, in microseconds of measured run time: a tenant with one endless loop and a tenant with a thousand short
// calls get the same share of the core. A flow that was idle goes first for one quantum, as in FQ-CoDel (RFC 8290
// §4.1): the short call of a quiet tenant does not wait for a round of the busy ones.
//
// Within a flow first come, first served; an execution that used up its tick goes to the back of its own flow.
// Intrusive: no allocation per turn, removal in O(1). Owner: Executions; one thread.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "base/time.h"

namespace bulkhead::runner {

struct ReadyHook : boost::intrusive::list_base_hook<boost::intrusive::tag<struct ReadyTag>> {};

struct FlowHook : boost::intrusive::list_base_hook<boost::intrusive::tag<struct FlowTag>,
                                                   boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {};

// The ready items of one tenant. Destroying an empty flow takes it out of its queue.
class Flow : public FlowHook {
 public:
  bool has_ready() const { return !ready_.empty(); }

 private:
  friend class FairQueue;
  using ReadyList = boost::intrusive::list<ReadyHook, boost::intrusive::base_hook<ReadyHook>,
                                           boost::intrusive::constant_time_size<false>>;
  ReadyList ready_;
  std::int64_t credit_us_ = 0;
};

class FairQueue {
 public:
  explicit FairQueue(Micros quantum) : quantum_us_(quantum.count()) {}

  void push(Flow& flow, ReadyHook& item);
  void remove(Flow& flow, ReadyHook& item);
  // The item whose turn it is, taken out; null when none is ready. Its flow pays with `charge` before the next `pop`.
  ReadyHook* pop();
  void charge(Flow& flow, Micros used);
  bool empty() const;

 private:
  using Ring = boost::intrusive::list<FlowHook, boost::intrusive::base_hook<FlowHook>,
                                      boost::intrusive::constant_time_size<false>>;
  static void move(Flow& flow, Ring& to);
  Ring fresh_;  // were idle; keep their place here for one quantum
  Ring busy_;   // the others with ready items, and some that have just run dry
  std::int64_t quantum_us_;
};

}  // namespace bulkhead::runner
