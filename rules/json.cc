// SPDX-License-Identifier: GPL-2.0-or-later
#include <nlohmann/json.hpp>

#include "rules/text.h"

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

Json with_negation(Json value, bool negated) {
  if (negated) value["negated"] = true;
  return value;
}

Json range(std::uint32_t first, std::uint32_t last) {
  return {{"first", first}, {"last", last}};
}

Json to_json(const PortMatch& match) {
  return with_negation(range(match.ports.first, match.ports.last), match.negated);
}

Json to_json(const OwnerRange& owner) {
  return with_negation(range(owner.first, owner.last), owner.negated);
}

Json to_json(const TcpFlags& flags) {
  return with_negation({{"mask", flags.mask}, {"compare", flags.compare}}, flags.negated);
}

Json to_json(const AddressMatch& match) {
  return with_negation({{"cidr", to_string(match.cidr)}}, match.negated);
}

Json to_json(const Interface& interface) {
  return with_negation({{"name", interface.name}}, interface.negated);
}

Json to_json(const Protocol& protocol) {
  return static_cast<unsigned>(protocol);
}

template <class Part>
void add(Json& object, const char* name, const std::optional<Part>& part) {
  if (part) object[name] = to_json(*part);
}

template <class Ports>
Json ports_to_json(const Ports& match) {
  Json object = Json::object();
  add(object, "source", match.source);
  add(object, "destination", match.destination);
  return object;
}

template <class MarkPart>
Json mark_to_json(const MarkPart& mark) {
  Json object{{"value", mark.value}, {"mask", mark.mask}};
  if constexpr (requires { mark.negated; }) return with_negation(std::move(object), mark.negated);
  return object;
}

Json to_json(const Match& match) {
  return std::visit(
      Overloaded{
          [](const Tcp& tcp) -> Json {
            Json object = ports_to_json(tcp);
            add(object, "flags", tcp.flags);
            return {{"tcp", object}};
          },
          [](const Udp& udp) -> Json {
            return {{"udp", ports_to_json(udp)}};
          },
          [](const Owner& owner) -> Json {
            Json object = Json::object();
            add(object, "uid", owner.uid);
            add(object, "gid", owner.gid);
            return {{"owner", object}};
          },
          [](const Multiport& multiport) -> Json {
            Json list = Json::array();
            for (const PortRange ports : multiport.destinations) {
              list.push_back(range(ports.first, ports.last));
            }
            return {{"multiport", with_negation({{"destinations", list}}, multiport.negated)}};
          },
          [](const Mark& mark) -> Json {
            return {{"mark", mark_to_json(mark)}};
          },
          [](const Connmark& mark) -> Json {
            return {{"connmark", mark_to_json(mark)}};
          },
          [](const Conntrack& conntrack) -> Json {
            Json object = with_negation({{"states", conntrack.states}}, conntrack.negated);
            if (conntrack.direction) {
              object["direction"] =
                  *conntrack.direction == Conntrack::Direction::reply ? "reply" : "original";
            }
            return {{"conntrack", object}};
          },
          [](const Limit& limit) -> Json {
            return {{"limit", {{"period", limit.period}, {"burst", limit.burst}}}};
          },
          [](const Opaque& opaque) -> Json {
            return {{"opaque", opaque.text}};
          },
      },
      match);
}

Json to_json(const Target& target) {
  return std::visit(Overloaded{
                        [](const Accept&) -> Json { return "ACCEPT"; },
                        [](const Drop&) -> Json { return "DROP"; },
                        [](const Return&) -> Json { return "RETURN"; },
                        [](const Jump& jump) -> Json {
                          return {{jump.go_to ? "goto" : "jump", jump.chain}};
                        },
                        [](const Redirect& redirect) -> Json {
                          return {{"redirect", {{"port", redirect.port}}}};
                        },
                        [](const RejectWithTcpReset&) -> Json {
                          return {{"reject", {{"with", "tcp-reset"}}}};
                        },
                        [](const RejectWithPortUnreachable&) -> Json {
                          return {{"reject", {{"with", "port-unreachable"}}}};
                        },
                        [](const SetMark& mark) -> Json {
                          return {{"setMark", mark_to_json(mark)}};
                        },
                        [](const SaveMark&) -> Json { return "saveMark"; },
                        [](const RestoreMark&) -> Json { return "restoreMark"; },
                        [](const Tproxy& tproxy) -> Json {
                          return {{"tproxy",
                                   {{"address", to_string(tproxy.address)},
                                    {"port", tproxy.port},
                                    {"mark", tproxy.mark},
                                    {"mask", tproxy.mask}}}};
                        },
                        [](const CtZone& zone) -> Json {
                          return {{"ct", {{"zone", zone.zone}}}};
                        },
                        [](const Nflog& nflog) -> Json {
                          return {{"nflog", {{"group", nflog.group}, {"prefix", nflog.prefix}}}};
                        },
                        [](const Opaque& opaque) -> Json {
                          return {{"opaque", opaque.text}};
                        },
                    },
                    target);
}

Json to_json(const std::string& chain, const Rule& rule) {
  Json object = Json::object();
  object["text"] = to_string(chain, rule);
  add(object, "source", rule.source);
  add(object, "destination", rule.destination);
  add(object, "in", rule.in);
  add(object, "out", rule.out);
  add(object, "protocol", rule.protocol);
  if (!rule.matches.empty()) object["matches"] = Json::array();
  for (const Match& match : rule.matches) object["matches"].push_back(to_json(match));
  object["target"] = to_json(rule.target);
  if (!rule.origin.text.empty()) object["origin"] = rule.origin.text;
  return object;
}

Json to_json(const TableRules& table) {
  Json object{{"name", to_string(table.table)}, {"chains", Json::array()}};
  for (const Chain& chain : table.chains) {
    Json entry{{"name", chain.name}};
    if (chain.policy) entry["policy"] = *chain.policy == Policy::accept ? "ACCEPT" : "DROP";
    entry["rules"] = Json::array();
    for (const Rule& rule : chain.rules) entry["rules"].push_back(to_json(chain.name, rule));
    object["chains"].push_back(std::move(entry));
  }
  return object;
}

}  // namespace

std::string to_json(const std::vector<Ruleset>& rulesets) {
  Json all = Json::array();
  for (const Ruleset& ruleset : rulesets) {
    Json tables = Json::array();
    for (const TableRules& table : ruleset.tables) tables.push_back(to_json(table));
    all.push_back({{"family", ruleset.family == Family::ipv4 ? "ipv4" : "ipv6"},
                   {"tables", std::move(tables)}});
  }
  return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sluice
