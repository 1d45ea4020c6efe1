// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/runtime_dns.h"

#include <algorithm>

#include "rules/error.h"
#include "rules/parse.h"

namespace sluice::cni {
namespace {

constexpr const char* what = "key \"runtimeConfig\": dns";

IpAddress read_server(const Json& server) {
  if (!server.is_string()) {
    throw Error(std::string(what) + ".servers: " + quote(to_line(server)) + " is not a string");
  }
  try {
    return parse_resolver(server.get_ref<const std::string&>());
  } catch (const Error& error) {
    throw Error(std::string(what) + ".servers: " + error.what());
  }
}

}  // namespace

std::vector<IpAddress> runtime_resolvers(const Json& network) {
  std::vector<IpAddress> resolvers;
  const Json* runtime = find_value(network, "runtimeConfig");
  const Json* dns = runtime == nullptr ? nullptr : find_value(*runtime, "dns");
  if (dns == nullptr) return resolvers;
  if (!dns->is_object()) throw Error(std::string(what) + " is not an object");
  const Json* servers = find_value(*dns, "servers");
  if (servers == nullptr) return resolvers;
  if (!servers->is_array()) throw Error(std::string(what) + ".servers is not an array");
  if (servers->size() > server_limit) {
    throw Error(std::string(what) + ".servers has more than " + std::to_string(server_limit) +
                " elements");
  }
  for (const Json& server : *servers) {
    const IpAddress address = read_server(server);
    if (std::find(resolvers.begin(), resolvers.end(), address) == resolvers.end()) {
      resolvers.push_back(address);
    }
  }
  return resolvers;
}

}  // namespace sluice::cni
