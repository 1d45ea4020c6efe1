// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/convert.h"

#include <utility>

#include "cni/code.h"
#include "cni/request.h"
#include "rules/error.h"
#include "rules/ip.h"

namespace sluice::cni {
namespace {

// The array `key`, an empty one if it is absent.
Json array_of(const Json& object, const char* key) {
  const Json* found = find_value(object, key);
  if (found == nullptr) return Json::array();
  if (!found->is_array()) refuse_result(std::string("\"") + key + "\" is not an array");
  return *found;
}

std::string string_of(const Json& object, const char* key) {
  const Json* found = find_value(object, key);
  if (found == nullptr) return {};
  if (!found->is_string()) refuse_result(std::string("\"") + key + "\" is not a string");
  return found->get<std::string>();
}

Family family_of(const std::string& cidr) {
  try {
    return parse_cidr(cidr).address.family;
  } catch (const Error& error) {
    refuse_result(error.what());
  }
}

// ips without null entries, each an object with an address.
Json readable_ips(const Json& result) {
  Json ips = Json::array();
  for (const Json& ip : array_of(result, "ips")) {
    if (ip.is_null()) continue;
    if (!ip.is_object() || string_of(ip, "address").empty())
      refuse_result("an entry of \"ips\" has no address");
    ips.push_back(ip);
  }
  return ips;
}

void copy_dns(const Json& from, Json& to, bool keep_empty) {
  const Json* dns = find_value(from, "dns");
  const bool empty = dns == nullptr || (dns->is_object() && dns->empty());
  if (!empty) to["dns"] = *dns;
  if (empty && keep_empty) to["dns"] = Json::object();
}

// ip4 and ip6 of the oldest format: the first address of each family and the routes of it.
Json to_ip4_ip6(const Json& result) {
  Json converted = Json::object();
  for (const Json& ip : readable_ips(result)) {
    const std::string address = string_of(ip, "address");
    const char* key = family_of(address) == Family::ipv4 ? "ip4" : "ip6";
    if (converted.contains(key)) continue;
    converted[key] = {{"ip", address}};
    const std::string gateway = string_of(ip, "gateway");
    if (!gateway.empty()) converted[key]["gateway"] = gateway;
  }
  if (converted.empty()) refuse_result("cannot convert: no valid IP addresses");
  for (const Json& route : array_of(result, "routes")) {
    const std::string destination = string_of(route, "dst");
    if (destination.empty()) continue;
    const char* key = family_of(destination) == Family::ipv4 ? "ip4" : "ip6";
    if (!converted.contains(key)) continue;
    Json kept{{"dst", destination}};
    const std::string gateway = string_of(route, "gw");
    if (!gateway.empty()) kept["gw"] = gateway;
    converted[key]["routes"].push_back(std::move(kept));
  }
  copy_dns(result, converted, true);
  return converted;
}

Json from_ip4_ip6(const Json& result, bool typed) {
  Json converted{{"ips", Json::array()}};
  Json routes = Json::array();
  for (const auto& [key, version] : {std::pair("ip4", "4"), std::pair("ip6", "6")}) {
    const Json* old = find_value(result, key);
    if (old == nullptr) continue;
    if (!old->is_object()) refuse_result(std::string("\"") + key + "\" is not an object");
    Json ip{{"address", string_of(*old, "ip")}};
    if (typed) ip["version"] = version;
    const std::string gateway = string_of(*old, "gateway");
    if (!gateway.empty()) ip["gateway"] = gateway;
    converted["ips"].push_back(std::move(ip));
    for (const Json& route : array_of(*old, "routes")) routes.push_back(route);
  }
  if (!routes.empty()) converted["routes"] = std::move(routes);
  copy_dns(result, converted, typed);
  return converted;
}

void retype_addresses(Json& result, bool typed) {
  Json ips = readable_ips(result);
  for (Json& ip : ips) {
    ip.erase("version");
    if (typed) ip["version"] = family_of(string_of(ip, "address")) == Family::ipv4 ? "4" : "6";
  }
  result["ips"] = std::move(ips);
}

// Members that interfaces have only since 1.1.0.
void drop_later_members(Json& result) {
  Json interfaces = array_of(result, "interfaces");
  for (Json& interface : interfaces) {
    if (!interface.is_object()) continue;
    for (const char* later : {"mtu", "socketPath", "pciID"}) interface.erase(later);
  }
  result["interfaces"] = std::move(interfaces);
}

// Between the formats that have ips: only ips[].version and later members differ.
Json retype_ips(const Json& result, bool typed) {
  Json converted = result;
  if (find_value(result, "ips") != nullptr) retype_addresses(converted, typed);
  if (typed && find_value(result, "interfaces") != nullptr) drop_later_members(converted);
  if (!typed) {
    converted.erase("dns");
    copy_dns(result, converted, false);
  }
  return converted;
}

}  // namespace

[[noreturn]] void refuse_result(const std::string& sentence) {
  throw Error(Code::decoding_failure, "prevResult: " + sentence);
}

ResultFormat format_of(std::string_view version) {
  if (at_least(version, "1.0.0")) return ResultFormat::untyped_ips;
  return at_least(version, "0.3.0") ? ResultFormat::typed_ips : ResultFormat::ip4_ip6;
}

Json convert_result(const Json& result, ResultFormat from, ResultFormat to) {
  if (from == to) return result;
  if (to == ResultFormat::ip4_ip6) return to_ip4_ip6(result);
  const bool typed = to == ResultFormat::typed_ips;
  return from == ResultFormat::ip4_ip6 ? from_ip4_ip6(result, typed) : retype_ips(result, typed);
}

}  // namespace sluice::cni
