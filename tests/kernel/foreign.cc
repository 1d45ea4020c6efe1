// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/kernel/foreign.h"

#include <algorithm>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace sluice::kernel {
namespace {

constexpr const char* foreign_rules = R"(*raw
:PREROUTING ACCEPT [11:1100]
:OUTPUT ACCEPT [12:1200]
:MY_RAW - [0:0]
[1:60] -A PREROUTING -i eth9 -j RETURN
[2:61] -A PREROUTING -p udp -m udp --dport 53 -j CT --zone 1
[3:62] -A OUTPUT -m comment --comment "ISTIO_OUTPUT -j ISTIO_OUTPUT" -j MY_RAW
[4:63] -A MY_RAW -p tcp -j ACCEPT
COMMIT
*mangle
:PREROUTING ACCEPT [21:2100]
:INPUT ACCEPT [22:2200]
:FORWARD DROP [23:2300]
:OUTPUT ACCEPT [24:2400]
:POSTROUTING ACCEPT [25:2500]
:ISTIO_INBOUND2 - [0:0]
:ISTIO_DIVERT_ - [0:0]
[5:64] -A PREROUTING -p tcp -m tcp --dport 80 -j ISTIO_INBOUND2
[6:65] -A OUTPUT -o net1 -j RETURN
[7:66] -A OUTPUT -m mark --mark 0x539 -j MARK --set-xmark 0x1/0x1
[8:67] -A ISTIO_INBOUND2 -i net1 -j RETURN
[9:68] -A ISTIO_INBOUND2 -j ISTIO_DIVERT_
COMMIT
*nat
:PREROUTING ACCEPT [31:3100]
:INPUT ACCEPT [32:3200]
:OUTPUT ACCEPT [33:3300]
:POSTROUTING ACCEPT [34:3400]
:ISTIO - [0:0]
:ISTIO_INBOUND2 - [0:0]
:MY_ISTIO_OUTPUT - [0:0]
:istio_output - [0:0]
[123456789012:98765432109876] -A PREROUTING -p tcp -m tcp --dport 80 -j ISTIO_INBOUND2
[10:69] -A PREROUTING -m comment --comment "-j ISTIO_INBOUND" -j ISTIO
[12:71] -A PREROUTING -i eth9 -j RETURN
[11:70] -A PREROUTING -i net1 -p tcp -j RETURN
[13:72] -A INPUT -i net1 -j RETURN
[14:73] -A OUTPUT -j MY_ISTIO_OUTPUT
[15:74] -A OUTPUT -p tcp -m multiport --dports 80,443 -j istio_output
[16:75] -A OUTPUT -o eth10 -j RETURN
[17:76] -A POSTROUTING -o net1 -j RETURN
[18:77] -A POSTROUTING -j MASQUERADE
[19:78] -A ISTIO_INBOUND2 -i net1 -j RETURN
[20:79] -A ISTIO_INBOUND2 -p tcp -j REDIRECT --to-ports 15006
[21:80] -A MY_ISTIO_OUTPUT -o net1 -j RETURN
[22:81] -A MY_ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN
[23:82] -A istio_output -p tcp -j REDIRECT --to-ports 15001-15002
COMMIT
*filter
:INPUT ACCEPT [41:4100]
:FORWARD DROP [42:4200]
:OUTPUT ACCEPT [43:4300]
:MY_FILTER - [0:0]
[24:83] -A INPUT -i net1 -j RETURN
[25:84] -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
[26:85] -A OUTPUT -o net1 -j RETURN
[27:86] -A OUTPUT -g MY_FILTER
[28:87] -A MY_FILTER -p tcp -j REJECT --reject-with tcp-reset
[29:88] -A MY_FILTER -p tcp
COMMIT
)";

// Rules behind ours, of the very form that ours have: only where they stand tells them apart.
constexpr const char* later_rules = R"(*nat
-I PREROUTING 1 -p tcp -m tcp --dport 7 -c 50 500 -j ISTIO
-I OUTPUT 1 -p tcp -m tcp --dport 7 -c 51 501 -j ISTIO
-A PREROUTING -i net1 -c 52 502 -j RETURN
-A PREROUTING -p tcp -m tcp --dport 99 -c 53 503 -j ISTIO_INBOUND2
-A OUTPUT -o net1 -c 54 504 -j RETURN
-A OUTPUT -p udp -c 55 505 -j ACCEPT
COMMIT
*filter
-I INPUT 1 -p tcp -m tcp --dport 7 -c 56 506 -j MY_FILTER
-A INPUT -i net1 -c 57 507 -j RETURN
-A OUTPUT -o net1 -c 58 508 -j RETURN
COMMIT
*mangle
-A PREROUTING -i net1 -c 59 509 -j RETURN
-A OUTPUT -o net1 -c 60 510 -j RETURN
COMMIT
)";

bool is_istio_name(const std::string& name) {
  static const std::set<std::string> names{"ISTIO_INBOUND",  "ISTIO_IN_REDIRECT", "ISTIO_OUTPUT",
                                           "ISTIO_REDIRECT", "ISTIO_OUTPUT_DNS",  "ISTIO_DIVERT",
                                           "ISTIO_TPROXY",   "ISTIO_DROP",        "ISTIO_REJECT"};
  return names.contains(name);
}

bool is_ours(const std::string& line, const std::string& table,
             const std::vector<std::string>& interfaces) {
  if (line.front() == ':') return is_istio_name(line.substr(1, line.find(' ') - 1));
  std::istringstream text(line);
  std::vector<std::string> words;
  for (std::string word; text >> word;) words.push_back(word);
  if (words.size() < 3 || words[1] != "-A") return false;
  if (is_istio_name(words[2])) return true;
  if (words[words.size() - 2] == "-j" && is_istio_name(words.back())) return true;
  const auto returns = [&](const std::string& interface) {
    return line == "[0:0] -A PREROUTING -i " + interface + " -j RETURN" ||
           line == "[0:0] -A OUTPUT -o " + interface + " -j RETURN";
  };
  return table == "*nat" && std::any_of(interfaces.begin(), interfaces.end(), returns);
}

}  // namespace

void add_foreign_rules(const TestNetns& netns, Family family) {
  netns.restore(family, foreign_rules, {"-c"});
}

void surround_with_foreign_rules(const TestNetns& netns, Family family) {
  netns.restore(family, later_rules, {"--noflush"});
}

std::string counted_rules(const TestNetns& netns, Family family) {
  std::string text;
  filter_lines(netns.save(family, {"-c"}), [&](const std::string& line) {
    text += (line.front() == ':' ? line.substr(0, line.find('[')) : line) + "\n";
    return false;
  });
  return text;
}

std::string without_ours(const std::string& dump, const std::vector<std::string>& interfaces) {
  std::string table;
  return filter_lines(dump, [&](const std::string& line) {
    if (line.front() == '*') table = line;
    return !is_ours(line, table, interfaces);
  });
}

}  // namespace sluice::kernel
