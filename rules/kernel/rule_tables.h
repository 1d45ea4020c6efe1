// SPDX-License-Identifier: GPL-2.0-or-later
// The rules of one network namespace through one of the kernel's two interfaces to netfilter:
// x_tables (xt/tables.h) or nf_tables (nft/tables.h). No policy, no choice between them.
#pragma once

#include <string>
#include <vector>

#include "rules/backend.h"
#include "rules/rule.h"

namespace sluice::kernel {

// Of the namespace in which the calling thread is; one object serves one of them, and one write().
class RuleTables {
 public:
  RuleTables() = default;
  RuleTables(const RuleTables&) = delete;
  RuleTables(RuleTables&&) = delete;
  RuleTables& operator=(const RuleTables&) = delete;
  RuleTables& operator=(RuleTables&&) = delete;
  virtual ~RuleTables() = default;

  // "xtables" or "nftables".
  virtual const char* name() const = 0;

  // Both families' rules, IPv4 first, creating no table. Of x_tables all that is there, of
  // nf_tables one table of ours. Empty where the kernel does not have the interface. Throws Error.
  virtual std::vector<Ruleset> read() = 0;

  // Of read() only the table mangle, for those who look for its marks. Throws Error.
  virtual std::vector<Ruleset> read_mangle();

  // Where else in this interface rules of ours were when read() was called last: "table \"other\"
  // of nf_tables".
  virtual std::vector<std::string> strays() const { return {}; }

  // Whether there is anything of ours (ownership.h), creating no table. Throws Error.
  virtual bool holds_ours() = 0;

  // What holds_ours() did not count though it bears a name of ours. write() tells it by itself.
  virtual Notices left_alone() const { return {}; }

  // Makes what is ours equal wanted.rulesets and reads it back; what is as wanted already is not
  // written again. Throws Error as Backend::apply, but what was written stays until roll_back().
  virtual Notices write(const Interception& wanted) = 0;

  // Puts back what was there before write(); returns what could not be put back. Once.
  virtual Notices roll_back() = 0;
};

// Adds `more` behind what is there.
void append(Notices& all, Notices more);

}  // namespace sluice::kernel
