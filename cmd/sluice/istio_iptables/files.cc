// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice/istio_iptables/files.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <string_view>
#include <system_error>

#include "cmd/stdio.h"
#include "rules/error.h"
#include "rules/kernel/fd.h"
#include "rules/parse.h"

namespace sluice::cmd::istio_iptables {
namespace {

constexpr const char* passwd_path = "/etc/passwd";
constexpr const char* resolv_conf_path = "/etc/resolv.conf";
constexpr std::size_t file_limit = std::size_t{1024} * 1024;

// What stands before `separator`, which is taken off `text` with it.
std::string_view take_field(std::string_view& text, char separator) {
  const std::string_view field = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(text.size(), field.size() + 1));
  return field;
}

}  // namespace

std::string_view take_word(std::string_view& text) {
  constexpr std::string_view blanks = " \t\r";
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(blanks)));
  const std::string_view word = text.substr(0, text.find_first_of(blanks));
  text.remove_prefix(word.size());
  return word;
}

std::optional<std::uint32_t> uid_of(const std::string& user) {
  const kernel::Fd fd(open(passwd_path, O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) return std::nullopt;
    throw Error(errno, std::string("open ") + passwd_path);
  }
  const std::string file = read_all(fd.get(), file_limit, passwd_path);
  for (std::string_view text = file; !text.empty();) {
    std::string_view line = take_field(text, '\n');
    if (take_field(line, ':') != user) continue;
    take_field(line, ':');  // the password
    const std::string_view field = take_field(line, ':');
    std::uint32_t uid = 0;
    const auto [end, failure] = std::from_chars(field.begin(), field.end(), uid);
    if (failure == std::errc() && end == field.end() && !field.empty()) return uid;
    throw Error(std::string(passwd_path) + " gives user " + quote(user) + " the UID " +
                quote(field));
  }
  return std::nullopt;
}

std::vector<IpAddress> configured_resolvers() {
  const kernel::Fd fd(open(resolv_conf_path, O_RDONLY | O_CLOEXEC));
  if (!fd) throw Error(errno, std::string("open ") + resolv_conf_path);
  const std::string file = read_all(fd.get(), file_limit, resolv_conf_path);
  std::vector<IpAddress> resolvers;
  for (std::string_view text = file; !text.empty();) {
    std::string_view line = take_field(text, '\n');
    if (take_word(line) != "nameserver") continue;
    const std::string_view server = take_word(line);
    try {
      resolvers.push_back(parse_resolver(server));
    } catch (const Error& error) {
      throw Error(std::string(resolv_conf_path) + ": nameserver " + error.what());
    }
  }
  return resolvers;
}

}  // namespace sluice::cmd::istio_iptables
