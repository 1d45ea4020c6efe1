// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/nft/fold.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "rules/text.h"

namespace sluice::nft {
namespace {

using Origins = std::vector<std::string_view>;

// Each once, in order, as far as they go.
std::string comment_of(const Origins& origins) {
  std::string comment;
  Origins seen;
  for (const std::string_view text : origins) {
    if (text.empty() || std::find(seen.begin(), seen.end(), text) != seen.end()) continue;
    seen.push_back(text);
    const std::string part = (comment.empty() ? "" : ", ") + std::string(text);
    if (comment.size() + part.size() > comment_limit) break;
    comment += part;
  }
  return comment;
}

// The one that most members have; of several the first in the alphabet.
Origin prevalent(const Origins& origins) {
  std::map<std::string_view, std::size_t> counts;
  for (const std::string_view text : origins) ++counts[text];
  const auto found =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return found == counts.end() ? Origin{} : Origin{found->first};
}

// As model.h has it: the family is the rule's.
void forget_family(sluice::Target& target) {
  if (auto* reject = std::get_if<RejectWithPortUnreachable>(&target)) reject->family = Family::ipv4;
  auto* tproxy = std::get_if<Tproxy>(&target);
  if (tproxy != nullptr && tproxy->address.bytes == IpAddress().bytes) tproxy->address = {};
}

Folded plain(sluice::Rule rule, const Origins& origins) {
  forget_family(rule.target);
  Folded folded{.rule = {.rule = std::move(rule), .comment = comment_of(origins)}};
  folded.origin = prevalent(origins);
  return folded;
}

void fold_cidrs(const Run& run, std::vector<Folded>& result) {
  Origins origins;
  std::vector<Cidr> cidrs;
  for (const VaryingCidr& member : run.cidrs) {
    origins.push_back(member.origin.text);
    cidrs.push_back(member.cidr);
  }
  if (cidrs.size() == 1) {
    result.push_back(plain(rules_of(run).front(), origins));
    return;
  }
  Folded& folded = result.emplace_back(plain(run.rest, origins));
  folded.varying = run.varying;
  folded.cidrs = std::move(cidrs);
}

void fold_ports(const Run& run, std::vector<Folded>& result) {
  for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
    Origins origins;
    std::vector<PortRange> ports;
    for (const VaryingPorts& member : run.ports) {
      if (member.protocol != protocol) continue;
      origins.push_back(member.origin.text);
      ports.push_back(member.ports);
    }
    if (ports.size() == 1) {
      result.push_back(plain(with_ports(run.rest, protocol, ports.front()), origins));
    } else if (!ports.empty()) {
      Folded& folded = result.emplace_back(plain(with_protocol(run.rest, protocol), origins));
      folded.varying = Varying::port;
      folded.ports = std::move(ports);
    }
  }
}

// Equal for equal ones, and mostly for those alone.
std::string key_of(const Folded& folded) {
  std::string key = to_string("", folded.rule.rule) + " " + std::to_string(folded.ports.size()) +
                    " " + std::to_string(folded.cidrs.size());
  if (!folded.ports.empty()) key += " " + std::to_string(folded.ports.front().first);
  if (!folded.cidrs.empty()) key += " " + to_string(folded.cidrs.front());
  return key;
}

// A list, and where in it what stands last.
class Positions {
 public:
  explicit Positions(const std::vector<Folded>& list) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      keys_.push_back(key_of(list[i]));
      last_[keys_.back()] = i;
    }
  }

  const std::string& key(std::size_t i) const { return keys_[i]; }
  bool has_behind(const std::string& key, std::size_t i) const {
    const auto found = last_.find(key);
    return found != last_.end() && found->second > i;
  }

 private:
  std::vector<std::string> keys_;
  std::unordered_map<std::string, std::size_t> last_;
};

}  // namespace

std::vector<Folded> fold(std::vector<sluice::Rule> rules) {
  std::vector<Folded> result;
  for (const Run& run : runs_of(std::move(rules))) {
    if (run.varying == Varying::nothing) {
      result.push_back(plain(run.rest, {run.rest.origin.text}));
    } else if (run.varying == Varying::port) {
      fold_ports(run, result);
    } else {
      fold_cidrs(run, result);
    }
  }
  return result;
}

std::vector<Folded> joined(std::vector<Folded> ipv4, std::vector<Folded> ipv6) {
  const Positions in_ipv4(ipv4);
  const Positions in_ipv6(ipv6);
  std::vector<Folded> result;
  const auto take = [&](Folded& folded, std::optional<Family> family) {
    folded.rule.family = family;
    result.push_back(std::move(folded));
  };
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < ipv4.size() && j < ipv6.size()) {
    if (ipv4[i] == ipv6[j]) {
      take(ipv4[i++], std::nullopt);
      ++j;
    } else if (in_ipv6.has_behind(in_ipv4.key(i), j) && !in_ipv4.has_behind(in_ipv6.key(j), i)) {
      take(ipv6[j++], Family::ipv6);
    } else {
      take(ipv4[i++], Family::ipv4);
    }
  }
  while (i < ipv4.size()) take(ipv4[i++], Family::ipv4);
  while (j < ipv6.size()) take(ipv6[j++], Family::ipv6);
  return result;
}

}  // namespace sluice::nft
