#include "coordinator/background.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "base/clock.h"

namespace halcyon::coordinator {
namespace {

constexpr int64_t kPatienceMs = 20'000;

TEST(BackgroundTest, WithoutAThreadWorkIsDoneAtOnceAndItsRestWhenCollected) {
  Background background;
  std::string done;
  background.Post([&] {
    done += "a";
    return [&] { done += "A"; };
  });
  background.Post([&] {
    done += "b";
    return [&] { done += "B"; };
  });
  EXPECT_EQ(done, "ab");
  background.Collect();
  EXPECT_EQ(done, "abAB");
  background.Collect();
  EXPECT_EQ(done, "abAB");
}

TEST(BackgroundTest, AThreadDoesWorkInOrderAndTheOwnerTheRests) {
  std::string order;  // of the work; read when all of it is done
  std::thread::id worked;
  std::atomic<int> wakes = 0;
  std::string rests;
  Background background;
  background.StartThread([&] { ++wakes; });
  for (char name = 'a'; name <= 'z'; ++name) {
    background.Post([&order, &worked, &rests, name] {
      order += name;
      worked = std::this_thread::get_id();
      return [&rests, name] { rests += name; };
    });
  }
  background.Drain();
  EXPECT_EQ(order, "abcdefghijklmnopqrstuvwxyz");
  EXPECT_EQ(rests, order);
  EXPECT_NE(worked, std::this_thread::get_id());
  EXPECT_TRUE(Clock::Real()->WaitFor([&] { return wakes == 26; }, kPatienceMs));
}

TEST(BackgroundTest, TheOwnerDoesNotWaitForWork) {
  std::atomic<bool> may_end = false, has_ended = false;
  Background background;
  background.StartThread([] {});
  background.Post([&] {
    while (!may_end) Clock::Real()->SleepMs(1);
    return [&] { has_ended = true; };
  });
  background.Collect();
  EXPECT_FALSE(has_ended);
  may_end = true;
  background.Drain();
  EXPECT_TRUE(has_ended);
}

TEST(BackgroundTest, WhatWasPostedIsDoneBeforeTheEnd) {
  std::atomic<int> done = 0;
  {
    Background background;
    background.StartThread([] {});
    for (int i = 0; i < 100; ++i) {
      background.Post([&] {
        ++done;
        return [] {};
      });
    }
  }
  EXPECT_EQ(done, 100);
}

}  // namespace
}  // namespace halcyon::coordinator
