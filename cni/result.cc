// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/result.h"

#include <cmath>
#include <optional>

#include "cni/convert.h"
#include "rules/error.h"

namespace sluice::cni {
namespace {

// Room for the key names and quotes of the document below 1 KiB.
constexpr std::size_t message_limit = 900;

const Json& previous(const Request& request) {
  const Json* result = find_value(request.config, "prevResult");
  if (result == nullptr) {
    throw Error(Code::invalid_config, "must be called as a chained plugin: prevResult is missing");
  }
  if (!result->is_object()) refuse_result("it is not an object");
  return *result;
}

// The version that the result says it has; the configuration's if it says none.
std::string version_of(const Json& result, const std::string& assumed) {
  const Json* version = find_value(result, "cniVersion");
  if (version == nullptr) return assumed;
  if (!version->is_string()) refuse_result("\"cniVersion\" is not a string");
  const auto& text = version->get_ref<const std::string&>();
  if (text.empty()) return assumed;
  if (!version_index(text)) refuse_result("version " + quote(text) + " is unknown");
  return text;
}

bool has_members(const Json& result, const char* one, const char* other) {
  return find_value(result, one) != nullptr || find_value(result, other) != nullptr;
}

// A result without a label under a configuration of the oldest versions may be one of a plugin
// that knows newer ones only.
ResultFormat format_of_unlabelled(const Json& result, ResultFormat assumed) {
  if (assumed != ResultFormat::ip4_ip6) return assumed;
  const bool newer = has_members(result, "ips", "interfaces") && !has_members(result, "ip4", "ip6");
  return newer ? ResultFormat::untyped_ips : assumed;
}

// The runtimes' decoder ignores case: a second spelling would be read in place of ours.
void set_version(Json& result, const std::string& version) {
  for (auto member = result.begin(); member != result.end();) {
    member =
        equal_ignoring_case(member.key(), "cniVersion") ? result.erase(member) : std::next(member);
  }
  result["cniVersion"] = version;
}

// An integer, also where it is spelled 1.0; nothing if the member is absent.
std::optional<std::int64_t> integer_of(const Json& object, const char* key) {
  const Json* found = find_value(object, key);
  if (found == nullptr) return std::nullopt;
  if (found->is_number_float()) {
    const double value = found->get<double>();
    if (std::trunc(value) == value && std::fabs(value) < 1e15) {
      return static_cast<std::int64_t>(value);
    }
  }
  const bool too_large = found->is_number_unsigned() && found->get<std::uint64_t>() > INT64_MAX;
  if (!found->is_number_integer() || too_large) {
    refuse_result(std::string("\"") + key + "\" is not an integer");
  }
  return found->get<std::int64_t>();
}

// Whether an entry of ips with this index belongs to `ifname`: an index that points nowhere is no
// index. The host may have an interface of the same name, which has no sandbox.
bool belongs_to(const Json& interfaces, std::optional<std::int64_t> index,
                const std::string& ifname) {
  const auto count = static_cast<std::int64_t>(interfaces.size());
  if (!index || *index < 0 || *index >= count) return true;
  const Json& interface = interfaces[static_cast<std::size_t>(*index)];
  const Json* name = find_value(interface, "name");
  const Json* sandbox = find_value(interface, "sandbox");
  const bool in_sandbox =
      sandbox != nullptr && sandbox->is_string() && !sandbox->get_ref<const std::string&>().empty();
  return in_sandbox && name != nullptr && *name == ifname;
}

IpAddress address_of(const Json& ip, const char* key) {
  const Json* address = find_value(ip, key);
  if (address == nullptr || !address->is_string()) {
    refuse_result(std::string("an address has no string \"") + key + "\"");
  }
  const auto& text = address->get_ref<const std::string&>();
  try {
    parse_cidr(text);
    return parse_address(text.substr(0, text.find('/')));
  } catch (const Error& error) {
    refuse_result(error.what());
  }
}

void add_oldest(const Json& result, std::vector<IpAddress>& addresses) {
  for (const char* key : {"ip4", "ip6"}) {
    const Json* ip = find_value(result, key);
    if (ip != nullptr) addresses.push_back(address_of(*ip, "ip"));
  }
}

}  // namespace

std::string clipped(std::string message) {
  if (message.size() <= message_limit) return message;
  std::size_t end = message_limit;
  // Not within a character.
  while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xc0U) == 0x80) --end;
  message.resize(end);
  return message + "...";
}

Json previous_result(const Request& request) {
  const Json& result = previous(request);
  const std::string version = version_of(result, request.version);
  const bool labelled = find_value(result, "cniVersion") != nullptr;
  const ResultFormat from =
      labelled ? format_of(version) : format_of_unlabelled(result, format_of(version));
  Json converted = convert_result(result, from, format_of(request.version));
  set_version(converted, request.version);
  return converted;
}

std::vector<IpAddress> addresses_of(const Json& result, const std::string& ifname) {
  std::vector<IpAddress> addresses;
  add_oldest(result, addresses);
  static const Json none = Json::array();
  const Json* ips = find_value(result, "ips");
  const Json* interfaces = find_value(result, "interfaces");
  if (ips == nullptr) return addresses;
  if (!ips->is_array()) refuse_result("\"ips\" is not an array");
  if (interfaces != nullptr && !interfaces->is_array()) {
    refuse_result("\"interfaces\" is not an array");
  }
  for (const Json& ip : *ips) {
    if (ip.is_null()) continue;
    if (!ip.is_object()) refuse_result("an entry of \"ips\" is not an object");
    const std::optional<std::int64_t> index = integer_of(ip, "interface");
    if (!belongs_to(interfaces == nullptr ? none : *interfaces, index, ifname)) continue;
    addresses.push_back(address_of(ip, "address"));
  }
  return addresses;
}

std::string version_document() {
  const Json document{{"cniVersion", current_version()},
                      {"supportedVersions", supported_versions()}};
  return to_line(document) + "\n";
}

std::string error_document(const std::string& version, Code code, const std::string& message,
                           const std::string& details) {
  Json document{
      {"cniVersion", version}, {"code", static_cast<unsigned>(code)}, {"msg", clipped(message)}};
  if (!details.empty()) document["details"] = clipped(details);
  return to_line(document) + "\n";
}

}  // namespace sluice::cni
