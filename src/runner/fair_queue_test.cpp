#include "runner/fair_queue.h"

#include <gtest/gtest.h>

#include <vector>

namespace bulkhead::runner {
namespace {

struct Item : ReadyHook {
  char tenant = 0;
};

TEST(FairQueue, GivesEachTenantTheSameTimeWhateverTheLengthOfItsRuns) {
  FairQueue queue(Micros(1'000));
  Flow long_runs;
  Flow short_runs;
  Item loop;
  loop.tenant = 'L';
  std::vector<Item> calls(10);
  queue.push(long_runs, loop);
  for (auto& call : calls) {
    call.tenant = 's';
    queue.push(short_runs, call);
  }
  std::int64_t used_long = 0;
  std::int64_t used_short = 0;
  for (int turn = 0; turn < 5'000; ++turn) {
    auto& item = static_cast<Item&>(*queue.pop());
    const bool is_long = item.tenant == 'L';
    Flow& flow = is_long ? long_runs : short_runs;
    queue.push(flow, item);
    queue.charge(flow, Micros(is_long ? 1'000 : 10));
    (is_long ? used_long : used_short) += is_long ? 1'000 : 10;
  }
  EXPECT_NEAR(static_cast<double>(used_long) / static_cast<double>(used_short), 1.0, 0.1);
  for (auto& call : calls) queue.remove(short_runs, call);
  queue.remove(long_runs, loop);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.pop(), nullptr);
}

TEST(FairQueue, ServesAQuietTenantBeforeTheBusyOnesButNotForEver) {
  FairQueue queue(Micros(1'000));
  std::vector<Flow> loopers(5);
  std::vector<Item> loops(5);
  const auto run_loop = [&](Item& item) {
    Flow& flow = loopers[static_cast<std::size_t>(item.tenant - '0')];
    queue.push(flow, item);
    queue.charge(flow, Micros(1'000));
  };
  for (std::size_t i = 0; i < 5; ++i) {
    loops[i].tenant = static_cast<char>('0' + i);
    queue.push(loopers[i], loops[i]);
  }
  for (int turn = 0; turn < 10; ++turn) run_loop(static_cast<Item&>(*queue.pop()));
  Flow quiet;
  Item call;
  call.tenant = 'q';
  queue.push(quiet, call);
  EXPECT_EQ(queue.pop(), &call);
  queue.charge(quiet, Micros(10));

  // The same tenant again and again, a whole quantum each time: now it takes turns.
  int quiet_runs = 0;
  for (int turn = 0; turn < 600; ++turn) {
    if (!quiet.has_ready()) queue.push(quiet, call);
    auto& item = static_cast<Item&>(*queue.pop());
    if (&item == &call) {
      queue.charge(quiet, Micros(1'000));
      ++quiet_runs;
    } else {
      run_loop(item);
    }
  }
  EXPECT_LE(quiet_runs, 110) << "a sixth";
  EXPECT_GE(quiet_runs, 90);
  if (quiet.has_ready()) queue.remove(quiet, call);
  for (std::size_t i = 0; i < 5; ++i) queue.remove(loopers[i], loops[i]);
}

TEST(FairQueue, RemembersDebtsButNoSavings) {
  FairQueue queue(Micros(1'000));
  Flow debtor;
  Flow other;
  Item a;
  Item b;
  queue.push(debtor, a);
  ASSERT_EQ(queue.pop(), &a);
  queue.charge(debtor, Micros(5'500));  // one long bulk memory instruction
  EXPECT_EQ(queue.pop(), nullptr);
  queue.push(debtor, a);
  queue.push(other, b);
  for (int turn = 0; turn < 4; ++turn) {
    ASSERT_EQ(queue.pop(), &b) << turn;
    queue.push(other, b);
    queue.charge(other, Micros(1'000));
  }
  ASSERT_EQ(queue.pop(), &a);
  queue.charge(debtor, Micros(1));
  queue.remove(other, b);
}

TEST(FairQueue, KeepsTheOrderWithinATenant) {
  FairQueue queue(Micros(1'000));
  Flow flow;
  Item first;
  Item second;
  Item third;
  queue.push(flow, first);
  queue.push(flow, second);
  queue.push(flow, third);
  queue.remove(flow, second);
  EXPECT_EQ(queue.pop(), &first);
  queue.charge(flow, Micros(1));
  EXPECT_EQ(queue.pop(), &third);
  queue.charge(flow, Micros(1));
  EXPECT_EQ(queue.pop(), nullptr);
}

}  // namespace
}  // namespace bulkhead::runner
