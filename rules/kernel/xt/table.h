// SPDX-License-Identifier: GPL-2.0-or-later
// One x_tables table of one family through libiptc: a snapshot that is edited and committed whole.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "rules/rule.h"

namespace sluice::kernel::xt {

// A snapshot belongs to the network namespace in which it was opened, wherever it is used.
class XtTable {
 public:
  XtTable() = default;
  XtTable(const XtTable&) = delete;
  XtTable(XtTable&&) = delete;
  XtTable& operator=(const XtTable&) = delete;
  XtTable& operator=(XtTable&&) = delete;
  virtual ~XtTable() = default;

  // Opens the table in the calling thread's namespace and creates it there if it is not (Linux
  // 5.15 and later create tables on first use). Throws Error: ENOTSUP if the kernel does not
  // offer it, EUCLEAN or E2BIG if it is not one that libiptc can read (vet.h), else the errno of
  // the failed call.
  static std::unique_ptr<XtTable> open(Family family, Table table);

  // The snapshot, decoded. Chains in the kernel's order.
  virtual TableRules read() = 0;

  // Edits of the snapshot. Throw Error naming the chain.
  virtual void create_chain(const std::string& chain) = 0;
  virtual void flush_chain(const std::string& chain) = 0;
  virtual void delete_chain(const std::string& chain) = 0;
  virtual void append(const std::string& chain, const Rule& rule) = 0;
  // `position` counts from 0 and may be the number of rules, which appends.
  virtual void insert(const std::string& chain, std::size_t position, const Rule& rule) = 0;
  virtual void delete_rule(const std::string& chain, std::size_t position) = 0;

  // Writes the snapshot. Rules that were not edited keep their counters; libiptc sets those of the
  // built-in chains' policies to zero. False if another
  // writer came between (EAGAIN): open again and repeat. Throws Error: ENOTSUP if the kernel
  // lacks a match or target that the rules need, else the errno.
  virtual bool commit() = 0;
};

}  // namespace sluice::kernel::xt
