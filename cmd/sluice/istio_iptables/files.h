// SPDX-License-Identifier: GPL-2.0-or-later
// The two files of the image that istio-iptables asks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rules/ip.h"

namespace sluice::cmd::istio_iptables {

// The next word between blanks, which is taken off `text` with what stands before it.
std::string_view take_word(std::string_view& text);

// The UID of `user` in /etc/passwd, passwd(5); nothing if it is not there or there is no such file.
// Read plainly: a static program has no name service. Throws Error.
std::optional<std::uint32_t> uid_of(const std::string& user);

// The servers in /etc/resolv.conf, resolv.conf(5), in order. Throws Error if the file cannot be
// read or names what is no server's address.
std::vector<IpAddress> configured_resolvers();

}  // namespace sluice::cmd::istio_iptables
