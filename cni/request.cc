// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/request.h"

#include <algorithm>
#include <utility>

#include "cni/code.h"
#include "rules/error.h"

namespace sluice::cni {
namespace {

std::string read_name(const Json& config) {
  const Json* name = find_value(config, "name");
  if (name == nullptr || (name->is_string() && name->get_ref<const std::string&>().empty())) {
    throw Error(Code::invalid_config, "missing network name");
  }
  if (!name->is_string()) {
    throw Error(Code::decoding_failure, "key \"name\" is not a string");
  }
  const auto& text = name->get_ref<const std::string&>();
  if (!is_valid_id(text)) {
    throw Error(Code::invalid_config,
                "network name " + quote(text) + " has characters that are not allowed");
  }
  return text;
}

std::string read_version(const Json& config) {
  const Json* version = find_value(config, "cniVersion");
  if (version == nullptr) return supported_versions().front();
  if (!version->is_string()) {
    throw Error(Code::decoding_failure, "key \"cniVersion\" is not a string");
  }
  const auto& text = version->get_ref<const std::string&>();
  if (text.empty()) return supported_versions().front();
  if (!version_index(text)) {
    throw Error(Code::incompatible_version, "incompatible CNI versions",
                "config is " + quote(text) + ", plugin supports " + to_line(supported_versions()));
  }
  return text;
}

void check_command(Command command, const std::string& version) {
  const auto require = [&](const char* name, const char* oldest) {
    if (at_least(version, oldest)) return;
    throw Error(Code::incompatible_version, std::string("config version does not allow ") + name,
                "config is " + quote(version) + ", " + name + " came with " + oldest);
  };
  if (command == Command::check) require("CHECK", "0.4.0");
  if (command == Command::gc) require("GC", "1.1.0");
  if (command == Command::status) require("STATUS", "1.1.0");
}

}  // namespace

const std::vector<std::string>& supported_versions() {
  static const std::vector<std::string> versions{"0.1.0", "0.2.0", "0.3.0", "0.3.1",
                                                 "0.4.0", "1.0.0", "1.1.0"};
  return versions;
}

const std::string& current_version() {
  return supported_versions().back();
}

std::optional<std::size_t> version_index(std::string_view version) {
  const std::vector<std::string>& all = supported_versions();
  const auto found = std::find(all.begin(), all.end(), version);
  if (found == all.end()) return std::nullopt;
  return static_cast<std::size_t>(found - all.begin());
}

bool at_least(std::string_view version, std::string_view oldest) {
  return version_index(version) >= version_index(oldest);
}

Request read_request(Command command, std::string_view text) {
  Request request{
      .name = {}, .version = {}, .config = parse_json(text, "the configuration on stdin")};
  if (request.config.is_null()) request.config = Json::object();
  if (!request.config.is_object()) {
    throw Error(Code::decoding_failure, "the configuration on stdin is not a JSON object");
  }
  request.name = read_name(request.config);
  request.version = read_version(request.config);
  check_command(command, request.version);
  return request;
}

}  // namespace sluice::cni
