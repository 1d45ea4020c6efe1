// SPDX-License-Identifier: GPL-2.0-or-later
// Told to end at each of the places that ask: what was begun is put back, or was done before.
#include "rules/interruption.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <functional>
#include <string>

#include "rules/diff.h"
#include "rules/error.h"
#include "rules/kernel/pod_backend.h"
#include "rules/kernel/user_namespace.h"
#include "tests/kernel/configs.h"
#include "tests/kernel/pod_user_namespace.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

int questions_left = 0;

std::optional<Error> when_none_is_left() {
  if (questions_left-- > 0) return std::nullopt;
  return Error(std::make_error_code(std::errc::interrupted), "told to end");
}

// Interrupts the n-th question, counted from 0.
class InterruptedAt {
 public:
  explicit InterruptedAt(int question) {
    questions_left = question;
    set_interruption(when_none_is_left);
  }
  InterruptedAt(const InterruptedAt&) = delete;
  InterruptedAt(InterruptedAt&&) = delete;
  InterruptedAt& operator=(const InterruptedAt&) = delete;
  InterruptedAt& operator=(InterruptedAt&&) = delete;
  ~InterruptedAt() { set_interruption(nullptr); }
};

std::string state_of(const TestNetns& netns) {
  return netns.save(Family::ipv4) + netns.save(Family::ipv6) + netns.addresses() +
         netns.must({"nft", "-s", "list", "ruleset"}) + netns.must({"ip", "rule"}) +
         netns.must({"ip", "route", "show", "table", "all"});
}

// Whether `action` came to its end.
bool completes(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.code() == std::errc::interrupted);
    CHECK_THAT(error.what(), Catch::StartsWith("told to end"));
    return false;
  }
  return true;
}

// How many places of `action` asked; the state is the same after each that ended it.
int places_of(const TestNetns& netns, const std::function<void()>& action) {
  const std::string before = state_of(netns);
  for (int place = 0;; ++place) {
    REQUIRE(place < 100);
    INFO("place " << place);
    const InterruptedAt interrupted(place);
    if (completes(action)) return place;
    CHECK(state_of(netns) == before);
  }
}

TEST_CASE("a change that is interrupted is put back", "[interruption]") {
  const auto choice = GENERATE(BackendChoice::xtables, BackendChoice::nftables);
  TestNetns netns;
  netns.must({"ip", "link", "set", "lo", "up"});
  PodBackend backend(netns.netns(), {.backend = choice}, "sluice");
  INFO(backend.name());
  // Creates the tables, which is not undone.
  const Interception wanted = both_families(config_of(R"({"interceptionMode": "TPROXY"})"));
  backend.apply(wanted);
  backend.remove();
  // Two routes, and each table or one batch.
  CHECK(places_of(netns, [&] { backend.apply(wanted); }) >= 3);
  CHECK(backend.read().tproxy_routes == wanted.tproxy_routes);
  CHECK(places_of(netns, [&] { backend.apply(both_families(small_config())); }) >= 2);
  CHECK(backend.read().tproxy_routes.empty());
  CHECK(backend.read().loopback_addresses.size() == 1);
  CHECK(places_of(netns, [&] { backend.remove(); }) >= 1);
  CHECK(diff(Interception{}, backend.read()).empty());
}

TEST_CASE("putting back is not interrupted", "[interruption]") {
  TestNetns netns;
  netns.backend().apply(both_families(small_config()));
  const std::string before = state_of(netns);
  Interception wanted = both_families(large_config());
  // The kernel refuses it in the last table: there is no owner to match on what comes in.
  find_chain(wanted.rulesets.at(1).tables.at(0), "PREROUTING")
      ->rules.push_back({.matches = {Owner{.uid = OwnerRange{.first = 1, .last = 1}}},
                         .target = Jump{"ISTIO_INBOUND"}});
  // Beyond the places of writing: those of putting back would be the next.
  for (int place = 0; place < 12; ++place) {
    const InterruptedAt interrupted(place);
    CHECK_THROWS_WITH(netns.backend().apply(wanted), !Catch::Contains("could not put back"));
    CHECK(state_of(netns) == before);
  }
}

TEST_CASE("waiting for the lock is interrupted", "[interruption]") {
  const TestNetns netns;
  const Netns other = std::get<Netns>(Netns::open(netns.path()));
  const Netns::Lock held = other.lock(0);
  REQUIRE(held);
  const InterruptedAt interrupted(1);
  CHECK_THROWS_WITH(netns.netns().lock(60'000), Catch::StartsWith("told to end"));
  CHECK_FALSE(netns.netns().lock(0));
}

volatile std::sig_atomic_t terms = 0;

// A handler that the child inherits, as the plugin's.
class HandledTerm {
 public:
  HandledTerm() : before_(std::signal(SIGTERM, [](int) { terms = 1; })) {}
  HandledTerm(const HandledTerm&) = delete;
  HandledTerm(HandledTerm&&) = delete;
  HandledTerm& operator=(const HandledTerm&) = delete;
  HandledTerm& operator=(HandledTerm&&) = delete;
  ~HandledTerm() { std::signal(SIGTERM, before_); }

 private:
  void (*before_)(int);
};

void wait_for_term() {
  while (terms == 0) usleep(1000);
}

TEST_CASE("a child in a user namespace is told of the interruption", "[interruption][userns]") {
  PodUserNamespace pod;
  const InterruptedAt interrupted(0);
  const HandledTerm handled;
  const auto run = [&](const std::function<Notices()>& action) {
    return in_user_namespace(pod.user_namespace(), pod.netns().fd(), action);
  };
  SECTION("one that does not listen is killed") {
    CHECK_THROWS_WITH(run([]() -> Notices {
                        std::signal(SIGTERM, SIG_IGN);
                        for (;;) pause();
                      }),
                      Catch::StartsWith("told to end") && Catch::Contains("killed by signal 9"));
  }
  SECTION("one that is done says so") {
    CHECK(run([]() -> Notices {
            wait_for_term();
            return {"done"};
          }) == Notices{"done"});
  }
  SECTION("one that has put all back") {
    CHECK_THROWS_WITH(run([]() -> Notices {
                        wait_for_term();
                        throw Error("put back");
                      }),
                      Catch::StartsWith("told to end") && !Catch::Contains("left behind"));
  }
}

}  // namespace
}  // namespace sluice::kernel
