// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/xt/table.h"

#include <net/if.h>

#include <cerrno>

#include <libiptc/libiptc.h>
// Unlike its twin, 1.8.9's header does not say that its functions are C.
extern "C" {
#include <libiptc/libip6tc.h>
}

#include "rules/error.h"
#include "rules/kernel/capability.h"
#include "rules/kernel/xt/entry.h"
#include "rules/kernel/xt/offered.h"

namespace sluice::kernel::xt {
namespace {

// libiptc has the same functions twice, under two prefixes.
struct Iptc {
  using Entry = ipt_entry;
  static constexpr Family family = Family::ipv4;
  static constexpr auto init = iptc_init;
  static constexpr auto free = iptc_free;
  static constexpr auto first_chain = iptc_first_chain;
  static constexpr auto next_chain = iptc_next_chain;
  static constexpr auto first_rule = iptc_first_rule;
  static constexpr auto next_rule = iptc_next_rule;
  static constexpr auto get_target = iptc_get_target;
  static constexpr auto builtin = iptc_builtin;
  static constexpr auto get_policy = iptc_get_policy;
  static constexpr auto create_chain = iptc_create_chain;
  static constexpr auto flush_entries = iptc_flush_entries;
  static constexpr auto delete_chain = iptc_delete_chain;
  static constexpr auto append_entry = iptc_append_entry;
  static constexpr auto insert_entry = iptc_insert_entry;
  static constexpr auto delete_num_entry = iptc_delete_num_entry;
  static constexpr auto commit = iptc_commit;
};
struct Ip6tc {
  using Entry = ip6t_entry;
  static constexpr Family family = Family::ipv6;
  static constexpr auto init = ip6tc_init;
  static constexpr auto free = ip6tc_free;
  static constexpr auto first_chain = ip6tc_first_chain;
  static constexpr auto next_chain = ip6tc_next_chain;
  static constexpr auto first_rule = ip6tc_first_rule;
  static constexpr auto next_rule = ip6tc_next_rule;
  static constexpr auto get_target = ip6tc_get_target;
  static constexpr auto builtin = ip6tc_builtin;
  static constexpr auto get_policy = ip6tc_get_policy;
  static constexpr auto create_chain = ip6tc_create_chain;
  static constexpr auto flush_entries = ip6tc_flush_entries;
  static constexpr auto delete_chain = ip6tc_delete_chain;
  static constexpr auto append_entry = ip6tc_append_entry;
  static constexpr auto insert_entry = ip6tc_insert_entry;
  static constexpr auto delete_num_entry = ip6tc_delete_num_entry;
  static constexpr auto commit = ip6tc_commit;
};

std::string table_name(Family family, Table table) {
  return std::string(to_string(family)) + " table " + to_string(table);
}

template <class Api>
class LibiptcTable : public XtTable {
 public:
  explicit LibiptcTable(Table table) : table_(table), handle_(init(table), Api::free) {
    if (handle_) return;
    const int errnum = errno;
    const std::string name = table_name(Api::family, table);
    if (errnum == 0 || errnum == EUCLEAN) {
      throw Error(EUCLEAN, name + " is not laid out as iptables would");
    }
    if (!says_unsupported(errnum)) throw failed(errnum, "open " + name, Capability::net_admin);
    const char* tool = Api::family == Family::ipv4 ? "iptable_" : "ip6table_";
    throw unsupported("the kernel does not offer " + name + " (module " + tool + to_string(table) +
                      "): " + std::generic_category().message(errnum));
  }

  TableRules read() override {
    TableRules all{.table = table_};
    for (const char* name = Api::first_chain(get()); name != nullptr;
         name = Api::next_chain(get())) {
      all.chains.push_back(read_chain(name));
    }
    return all;
  }

  void create_chain(const std::string& chain) override {
    check(Api::create_chain(chain.c_str(), get()), "create chain", chain);
  }
  void flush_chain(const std::string& chain) override {
    check(Api::flush_entries(chain.c_str(), get()), "flush chain", chain);
  }
  void delete_chain(const std::string& chain) override {
    check(Api::delete_chain(chain.c_str(), get()), "delete chain", chain);
  }
  void append(const std::string& chain, const Rule& rule) override {
    const EntryBuffer buffer = encode_rule(rule, Api::family);
    check(Api::append_entry(chain.c_str(), entry_of(buffer), get()), "append a rule to chain",
          chain);
  }
  void insert(const std::string& chain, std::size_t position, const Rule& rule) override {
    const EntryBuffer buffer = encode_rule(rule, Api::family);
    const auto number = static_cast<unsigned>(position);
    check(Api::insert_entry(chain.c_str(), entry_of(buffer), number, get()),
          "insert a rule into chain", chain);
  }
  void delete_rule(const std::string& chain, std::size_t position) override {
    const auto number = static_cast<unsigned>(position);
    check(Api::delete_num_entry(chain.c_str(), number, get()), "delete a rule of chain", chain);
  }

  bool commit() override {
    errno = 0;
    if (Api::commit(get()) != 0) return true;
    const int errnum = errno;
    if (errnum == EAGAIN) return false;
    const std::string name = table_name(Api::family, table_);
    if (errnum == EINVAL) {
      throw Error(errnum, "commit " + name +
                              " (an owner match takes only UIDs and GIDs that the pod's user "
                              "namespace maps, and only from within it)");
    }
    if (errnum != ENOENT && errnum != EOPNOTSUPP) throw Error(errnum, "commit " + name);
    throw unsupported(
        "commit " + name +
        ": the kernel lacks a match or target that the rules need (modules "
        "xt_tcpudp, xt_owner, xt_multiport, xt_mark, xt_connmark, xt_conntrack, "
        "xt_limit, xt_REDIRECT, xt_TPROXY, xt_CT, xt_NFLOG, ipt_REJECT, ip6t_REJECT)");
  }

 private:
  static xtc_handle* init(Table table) {
    // libiptc repeats as long as errno is EAGAIN, also where it fails without setting it.
    errno = 0;
    return Api::init(to_string(table));
  }

  static const typename Api::Entry* entry_of(const EntryBuffer& buffer) {
    return reinterpret_cast<const typename Api::Entry*>(buffer.data());
  }

  xtc_handle* get() { return handle_.get(); }

  void check(int done, const char* doing, const std::string& chain) const {
    if (done != 0) return;
    const int errnum = errno;
    throw Error(errnum,
                std::string(doing) + " " + quote(chain) + " of " + table_name(Api::family, table_));
  }

  Chain read_chain(const char* name) {
    Chain chain{.name = name};
    if (Api::builtin(name, get()) != 0) {
      xt_counters counters{};
      const std::string policy = Api::get_policy(name, &counters, get());
      chain.policy = policy == "DROP" ? Policy::drop : Policy::accept;
    }
    for (const auto* entry = Api::first_rule(name, get()); entry != nullptr;
         entry = Api::next_rule(entry, get())) {
      chain.rules.push_back(decode_rule(*entry, Api::get_target(entry, get())));
    }
    return chain;
  }

  Table table_;
  std::unique_ptr<xtc_handle, void (*)(xtc_handle*)> handle_;
};

}  // namespace

std::unique_ptr<XtTable> XtTable::open(Family family, Table table) {
  if (family == Family::ipv4) return std::make_unique<LibiptcTable<Iptc>>(table);
  return std::make_unique<LibiptcTable<Ip6tc>>(table);
}

}  // namespace sluice::kernel::xt
