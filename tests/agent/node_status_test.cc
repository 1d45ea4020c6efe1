// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/node_status.h"

#include <catch2/catch.hpp>
#include <sstream>

#include "agent/tell/status.h"
#include "cni/json.h"
#include "rules/error.h"

namespace sluice::cmd {
namespace {

std::size_t longest_line(const std::string& text) {
  std::istringstream lines(text);
  std::size_t longest = 0;
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  return longest;
}

}  // namespace

TEST_CASE("what an agent says is a table") {
  const agent::NodeStatus status{.node = "n1",
                                 .version = "0.1.0",
                                 .ready = true,
                                 .parts = {{"install", {.ready = true, .why = "in place"}},
                                           {"watch", {.ready = true, .why = "in sync"}}},
                                 .conf_file = "/etc/cni/net.d/10-podnet.conflist",
                                 .backend = "xtables",
                                 .repair_mode = "repair",
                                 .pods = {{.name_space = "demo",
                                           .name = "web-0",
                                           .condition = agent::PodCondition::intact,
                                           .repaired = true},
                                          {.name_space = "demo",
                                           .name = "a-longer-name",
                                           .condition = agent::PodCondition::missing,
                                           .why = "nothing of ours"},
                                          {.name_space = "kube-system",
                                           .name = "dns",
                                           .condition = agent::PodCondition::passed,
                                           .why = "not injected"}}};
  const NodeTable table = node_table(agent::print_status(status));
  CHECK(table.ready);
  CHECK(table.text ==
        "Node:     n1\n"
        "Agent:    0.1.0\n"
        "Ready:    yes\n"
        "  install  ready  in place\n"
        "  watch    ready  in sync\n"
        "Entry in: /etc/cni/net.d/10-podnet.conflist\n"
        "Backend:  xtables\n"
        "Repair:   repair\n"
        "Pods:     3: 1 intact, 1 missing, 1 passed\n"
        "\n"
        "NAMESPACE/NAME      STATE             WHY\n"
        "demo/a-longer-name  missing           nothing of ours\n"
        "demo/web-0          intact, repaired  -\n"
        "kube-system/dns     passed            not injected\n");
}

TEST_CASE("an agent of another version is read as far as it goes") {
  CHECK_FALSE(node_table("{}").ready);
  CHECK(node_table("{}").text ==
        "Node:     -\nAgent:    -\nReady:    no\nEntry in: -\nBackend:  -\nRepair:   -\n"
        "Pods:     0\n");
  const NodeTable table = node_table(
      R"({"version":9,"node":7,"ready":"yes","parts":{"new":{"ready":false,"why":["x"]},"odd":3},
          "pods":[{"name":"a","condition":"brand-new"},"x",null,{}],"more":{}})");
  CHECK_FALSE(table.ready);
  CHECK_THAT(table.text, Catch::Contains("  new  not ready  -\n"));
  CHECK_THAT(table.text, Catch::Contains("-/a             brand-new  -\n"));
  CHECK_THAT(table.text, Catch::Contains("Pods:     2: 1 -, 1 brand-new\n"));
  CHECK_THAT(node_table(R"({"parts":[],"pods":{}})").text, Catch::Contains("Pods:     0\n"));
}

TEST_CASE("what is no status is refused") {
  for (const char* text : {"", "[]", "null", "{", "7", "{} {}"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(node_table(text), Error);
  }
}

TEST_CASE("nothing in a status reaches the terminal unprinted, or makes lines without end") {
  const std::string evil = "\x1b[2J\n\r\t\x7f";
  cni::Json status{{"node", evil + std::string(100'000, 'n')},
                   {"confFile", evil},
                   {"parts", {{evil, {{"ready", false}, {"why", evil + std::string(5000, 'w')}}}}},
                   {"pods", cni::Json::array()}};
  for (int i = 0; i < 10'010; ++i) {
    // The first are large.
    const std::size_t size = i < 20 ? 3000 : 3;
    status["pods"].push_back({{"namespace", std::string(size, 's')},
                              {"name", evil},
                              {"condition", evil + std::to_string(i)},
                              {"why", std::string(size, 'y')}});
  }
  const std::string text = node_table(cni::to_line(status)).text;
  CHECK(text.find_first_of("\x1b\r\t\x7f") == std::string::npos);
  CHECK(longest_line(text) <= 240);
  CHECK_THAT(text, Catch::EndsWith("... and 10 more\n"));
}

TEST_CASE("a text is cut between characters") {
  std::string name;
  for (int i = 0; i < 100; ++i) name += "\xc3\xa4";
  const std::string text = node_table(cni::to_line({{"pods", {{{"name", name}}}}})).text;
  CHECK_THAT(text, Catch::Contains("\xc3\xa4...  -"));
  CHECK(cni::to_line(text).find("\\ufffd") == std::string::npos);
  CHECK(cni::to_line(text).find("\xef\xbf\xbd") == std::string::npos);
}

}  // namespace sluice::cmd
