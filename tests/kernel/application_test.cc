// SPDX-License-Identifier: GPL-2.0-or-later
// Two interfaces to the rules of one namespace: which is written when, and what is put back.
#include "rules/kernel/application.h"

#include <sched.h>
#include <sys/syscall.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <string>
#include <vector>

#include "rules/error.h"
#include "tests/kernel/child.h"
#include "tests/kernel/refusal.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

using Calls = std::vector<std::string>;

class FakeTables : public RuleTables {
 public:
  FakeTables(const char* name, Calls& calls) : name_(name), calls_(calls) {}

  bool ours = false;
  bool fails = false;
  std::vector<Ruleset> rulesets = {};

  const char* name() const override { return name_; }
  std::vector<Ruleset> read() override {
    calls_.push_back(name_ + std::string(" read"));
    return rulesets;
  }
  bool holds_ours() override { return ours; }
  Notices write(const Interception& wanted) override {
    calls_.push_back(name_ + std::string(wanted.rulesets.empty() ? " empty" : " write"));
    if (fails) throw Error(ENOTSUP, std::string("write ") + name_);
    return {std::string(name_) + " is written"};
  }
  Notices roll_back() override {
    calls_.push_back(name_ + std::string(" back"));
    return {};
  }

 private:
  const char* name_;
  Calls& calls_;
};

struct Both {
  Calls calls;
  FakeTables chosen{"chosen", calls};
  FakeTables other{"other", calls};
};

const Interception wanted{
    .rulesets = {{.family = Family::ipv4,
                  .tables = {{.table = Table::nat, .chains = {{.name = "ISTIO_OUTPUT"}}}}}}};

TEST_CASE("the other interface is left alone where it holds nothing", "[application]") {
  const TestNetns netns;
  Both both;
  netns.inside([&] { Application(both.chosen, both.other).apply(wanted); });
  CHECK(both.calls == Calls{"chosen read", "chosen write"});
}

TEST_CASE("the other interface is emptied when the chosen one is written", "[application]") {
  const TestNetns netns;
  Both both;
  both.other.ours = true;
  Application application(both.chosen, both.other);
  netns.inside([&] { application.apply(wanted); });
  CHECK(both.calls == Calls{"chosen read", "other read", "chosen write", "other empty"});
  CHECK(application.take_notices() == Notices{"chosen is written", "other is written"});
}

TEST_CASE("what fails is put back, the last one first", "[application]") {
  const TestNetns netns;
  Both both;
  both.other.ours = true;
  Application application(both.chosen, both.other);
  SECTION("the chosen interface") {
    both.chosen.fails = true;
    netns.inside([&] { CHECK_THROWS_AS(application.apply(wanted), Error); });
    CHECK(application.roll_back().empty());
    CHECK(both.calls == Calls{"chosen read", "other read", "chosen write", "chosen back"});
  }
  SECTION("the other one") {
    both.other.fails = true;
    netns.inside([&] { CHECK_NOTHROW(application.apply(wanted)); });
    CHECK(both.calls == Calls{"chosen read", "other read", "chosen write", "other empty"});
    CHECK_THAT(application.take_notices().back(),
               Catch::StartsWith("rules of ours may be left behind: "));
  }
}

TEST_CASE("whoever wants no rules gets out what can be got out, and is told", "[application]") {
  const TestNetns netns;
  Both both;
  both.other.ours = true;
  FakeTables& failing = GENERATE(false, true) ? both.other : both.chosen;
  failing.fails = true;
  Application application(both.chosen, both.other);
  netns.inside([&] { CHECK_THROWS_AS(application.apply({}), Error); });
  CHECK(application.roll_back().empty());
  CHECK(both.calls == Calls{"chosen read", "other read", "chosen empty", "other empty"});
}

// The ip rule of Istio's init container carries no tag: only the mark of the live rules names it.
TEST_CASE("marks of the rules that are left name their policy routing", "[application]") {
  const bool in_other = GENERATE(false, true);
  const TestNetns netns;
  netns.must({"ip", "link", "set", "lo", "up"});
  netns.must({"ip", "rule", "add", "fwmark", "1337", "lookup", "133"});
  netns.must({"ip", "route", "add", "local", "default", "dev", "lo", "table", "133"});
  Both both;
  FakeTables& holder = in_other ? both.other : both.chosen;
  holder.ours = true;
  holder.rulesets = {
      {.family = Family::ipv4,
       .tables = {{.table = Table::mangle,
                   .chains = {{.name = "ISTIO_TPROXY",
                               .rules = {{.protocol = Protocol::tcp,
                                          .target = Tproxy{.port = 15006, .mark = 1337}}}}}}}}};
  netns.inside([&] { Application(both.chosen, both.other).apply(wanted); });
  CHECK(netns.must({"ip", "rule", "show"}).find("lookup 133") == std::string::npos);
}

// In a child that reads no answer of the kernel to a change of addresses or routes.
std::string apply_without_answers(const TestNetns& netns, const Interception& asked) {
  return in_child([&] {
    Both both;
    Application application(both.chosen, both.other);
    if (setns(netns.fd(), CLONE_NEWNET) != 0) return std::string("setns");
    refuse(SYS_recvmsg, {}, ENOMEM);
    try {
      application.apply(asked);
    } catch (const Error&) {
      for (const std::string& failure : application.roll_back()) return failure;
      return std::string("put back");
    }
    return std::string("done");
  });
}

TEST_CASE("an address of which the kernel's answer is lost goes again", "[application]") {
  const TestNetns netns;
  const std::string address = "00000000000000000000000000000006";
  Interception asked = wanted;
  asked.loopback_addresses = {parse_cidr("::6/128")};
  CHECK(apply_without_answers(netns, asked) == "put back");
  CHECK(netns.addresses().find(address) == std::string::npos);
  // But not one that was there before, for which nobody is asked.
  netns.must({"ip", "addr", "add", "::6/128", "dev", "lo"});
  CHECK(apply_without_answers(netns, asked) == "done");
  CHECK(netns.addresses().find(address) != std::string::npos);
}

}  // namespace
}  // namespace sluice::kernel
