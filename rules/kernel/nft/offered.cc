// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/offered.h"

#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include <linux/netfilter/nf_tables.h>

#include "rules/kernel/capability.h"
#include "rules/kernel/nft/base_chain.h"
#include "rules/kernel/nft/batch.h"
#include "rules/kernel/nft/replacement.h"

namespace sluice::kernel::nft {
namespace {

// No kernel has it: the type is looked up before, and conntrack, which redir needs, is only
// switched on behind it.
constexpr expr::Register no_register = 9999;

}  // namespace

bool is_offered() {
  return Socket::open() != nullptr;
}

bool offers_redirection() {
  const std::unique_ptr<Socket> socket = Socket::open();
  // To a table that is there already the kernel would have other objections.
  const std::string name = "sluice-status-" + std::to_string(getpid());
  return socket &&
         offers(*socket,
                {.name = name,
                 .flags = NFT_TABLE_F_DORMANT,
                 .chains = {{.name = "output-nat",
                             .hook = hook_of(Table::nat, "OUTPUT"),
                             .rules = {{.expressions = {expr::Redir{.port = no_register}}}}}}});
}

bool offers(Socket& socket, const TableObject& table) {
  Batch batch(std::nullopt);
  batch.create_table(table);
  batch.leave_open();
  const Outcome outcome = socket.commit(batch);
  if (says_not_offered(outcome.errnum)) return false;
  // ERANGE, before Linux 5.14 EINVAL: it is the value that is refused.
  const bool is_value = outcome.errnum == ERANGE || outcome.errnum == EINVAL;
  if (outcome.known && (is_value || outcome.errnum == 0)) return true;
  throw failed(outcome.known ? outcome.errnum : EAGAIN, "ask what nf_tables has",
               Capability::net_admin);
}

}  // namespace sluice::kernel::nft
