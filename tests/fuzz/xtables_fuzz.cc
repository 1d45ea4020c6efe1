// SPDX-License-Identifier: GPL-2.0-or-later
// An x_tables table as the kernel would return it: the first byte's lowest bit is the family, then
// come valid_hooks, hook_entry, underflow and num_entries of struct ipt_getinfo, then the entries.
// The kernel checks what is put into it, so it returns less than this.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <linux/netfilter_ipv4/ip_tables.h>

#include "rules/error.h"
#include "rules/kernel/xt/table.h"
#include "rules/rule.h"
#include "rules/text.h"
#include "tests/fuzz/fuzz.h"

namespace {

constexpr std::size_t info_words = 12;

std::array<unsigned, info_words> info{};
std::string_view entries;

void fill_info(void* value) {
  ipt_getinfo answer{};
  std::memcpy(&answer, value, sizeof answer);
  answer.valid_hooks = info[0];
  std::memcpy(answer.hook_entry, &info[1], sizeof answer.hook_entry);
  std::memcpy(answer.underflow, &info[6], sizeof answer.underflow);
  answer.num_entries = info[11];
  answer.size = static_cast<unsigned>(entries.size());
  std::memcpy(value, &answer, sizeof answer);
}

}  // namespace

extern "C" {

// By the linker's --wrap: there is no kernel here.
int __wrap_socket(int /*domain*/, int /*type*/, int /*protocol*/) {
  return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int __wrap_getsockopt(int /*fd*/, int /*level*/, int option, void* value, socklen_t* size) {
  if (option == IPT_SO_GET_INFO) {
    fill_info(value);
    return 0;
  }
  if (option != IPT_SO_GET_ENTRIES || *size < sizeof(ipt_get_entries) + entries.size()) {
    errno = EINVAL;
    return -1;
  }
  std::memcpy(static_cast<char*>(value) + sizeof(ipt_get_entries), entries.data(), entries.size());
  return 0;
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;  // NOLINT(google-build-using-namespace)
  const auto [choice, text] = fuzz::choice_of(fuzz::text_of(data, size));
  if (text.size() < sizeof info) return 0;
  std::memcpy(info.data(), text.data(), sizeof info);
  entries = text.substr(sizeof info);
  const Family family = (choice & 1U) == 0 ? Family::ipv4 : Family::ipv6;
  try {
    const TableRules live = kernel::xt::XtTable::open(family, Table::nat)->read();
    to_save({.family = family, .tables = {live}});
  } catch (const Error& error) {
    fuzz::require_message(error.what());
  }
  return 0;
}

}  // extern "C"
