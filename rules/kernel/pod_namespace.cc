// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/pod_namespace.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "rules/kernel/capability.h"
#include "rules/kernel/confinement.h"
#include "rules/kernel/link.h"
#include "rules/kernel/netns.h"
#include "rules/kernel/pod_backend.h"
#include "rules/kernel/xt/raw_socket.h"

namespace sluice::kernel {
namespace {

class KernelNamespace : public PodNamespace {
 public:
  explicit KernelNamespace(Netns netns) : netns_(std::move(netns)) {}

  bool is_own() override { return netns_.is_own(); }
  std::vector<Link> links() override {
    std::vector<Link> all;
    run([&] { all = list_links(); });
    return all;
  }
  std::optional<Link> link(const std::string& name) override {
    std::optional<Link> found;
    run([&] { found = find_link(name); });
    return found;
  }
  bool loopback_has_ipv6() override {
    bool has = false;
    run([&] { has = kernel::loopback_has_ipv6(); });
    return has;
  }
  Backend& backend(const BackendSettings& settings) override {
    settle();
    if (!backend_) {
      backend_.emplace(netns_, choose_in(netns_, settings), settings.nft_table,
                       [this] { give_up_child(); });
    }
    return *backend_;
  }

 protected:
  // Before anything is done in the namespace.
  virtual void settle() {}
  // Before this process writes, which then has no child to start any more.
  virtual void give_up_child() {}
  Netns& netns() { return netns_; }

 private:
  void run(const std::function<void()>& action) {
    settle();
    netns_.run(action);
  }

  Netns netns_;
  std::optional<PodBackend> backend_;
};

class EnteredNamespace : public KernelNamespace {
 public:
  explicit EnteredNamespace(Netns opened)
      : KernelNamespace(std::move(opened)), has_our_users_(netns().owner().is_own) {
    std::uint64_t kept = capabilities_to_enter;
    // Files of such a pod in /proc are not ours.
    if (!has_our_users_) kept |= bit(Capability::dac_read_search);
    keep_capabilities(kept);
  }

 private:
  void settle() override {
    if (settled_) return;
    netns().stay();
    xt::keep_raw_sockets();
    if (has_our_users_) {
      give_up_child();
    } else {
      filter(Calls::rules_in_child);
    }
    settled_ = true;
  }

  void give_up_child() override {
    if (has_no_child_) return;
    keep_capabilities(bit(Capability::net_admin));
    filter(Calls::rules);
    has_no_child_ = true;
  }

  static void filter([[maybe_unused]] Calls calls) {
#ifdef SLUICE_FILTER_SYSTEM_CALLS
    filter_system_calls(calls);
#endif
  }

  bool has_our_users_;
  bool settled_ = false;
  bool has_no_child_ = false;
};

template <class Namespace>
OpenedNamespace open(const std::string& path) {
  std::variant<Netns, NotNetns> opened = Netns::open(path);
  if (NotNetns* reason = std::get_if<NotNetns>(&opened)) return std::move(*reason);
  return std::make_unique<Namespace>(std::get<Netns>(std::move(opened)));
}

}  // namespace

OpenedNamespace open_pod_namespace(const std::string& path) {
  return open<KernelNamespace>(path);
}

OpenedNamespace enter_pod_namespace(const std::string& path) {
  return open<EnteredNamespace>(path);
}

}  // namespace sluice::kernel
