// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/text_target.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace sluice {
namespace {

std::uint16_t parse_u16(std::string_view text, std::string_view what) {
  return static_cast<std::uint16_t>(parse_decimal(text, 65535, what));
}

std::optional<Target> parse_redirect(Options options) {
  if (options.left() != 2 || options.take() != "--to-ports") return std::nullopt;
  const std::string& ports = options.take();
  if (ports.find('-') != std::string::npos) return std::nullopt;
  return Redirect{parse_u16(ports, "port")};
}

std::optional<Target> parse_reject(Options options) {
  if (options.left() != 2 || options.take() != "--reject-with") return std::nullopt;
  const std::string& with = options.take();
  if (with == "tcp-reset") return RejectWithTcpReset{};
  if (with == "icmp-port-unreachable") return RejectWithPortUnreachable{Family::ipv4};
  if (with == "icmp6-port-unreachable") return RejectWithPortUnreachable{Family::ipv6};
  return std::nullopt;
}

std::optional<Target> parse_set_mark(Options options) {
  if (options.left() != 2) return std::nullopt;
  const std::string& name = options.take();
  if (name != "--set-xmark" && name != "--set-mark") return std::nullopt;
  const Masked mark = parse_masked(options.take());
  // --set-mark sets bits where --set-xmark turns them over.
  const std::uint32_t kept = name == "--set-mark" ? mark.value : 0;
  return SetMark{.value = mark.value, .mask = mark.mask | kept};
}

std::optional<Target> parse_connmark(Options options) {
  if (options.done()) return std::nullopt;
  const std::string& mode = options.take();
  while (!options.done()) {
    const std::string& name = options.take();
    const bool mask = name == "--mask" || name == "--nfmask" || name == "--ctmask";
    if (!mask || options.left() == 0 || parse_bits(options.take()) != all_bits) {
      return std::nullopt;
    }
  }
  if (mode == "--save-mark") return SaveMark{};
  if (mode == "--restore-mark") return RestoreMark{};
  return std::nullopt;
}

std::optional<Target> parse_tproxy(Options options) {
  Tproxy target{.mask = 0};
  bool has_port = false;
  bool has_address = false;
  while (!options.done()) {
    const std::string& name = options.take();
    if (options.left() == 0) return std::nullopt;
    const std::string& value = options.take();
    if (name == "--on-port") {
      target.port = parse_u16(value, "port");
      has_port = true;
    } else if (name == "--on-ip") {
      target.address = parse_address(value);
      has_address = true;
    } else if (name == "--tproxy-mark") {
      const Masked mark = parse_masked(value);
      target.mark = mark.value;
      target.mask = mark.mask;
    } else {
      return std::nullopt;
    }
  }
  if (!has_port || !has_address) return std::nullopt;
  return target;
}

// iptables-save leaves zone 0 out.
std::optional<Target> parse_ct(Options options) {
  if (options.done()) return CtZone{};
  if (options.left() != 2 || options.take() != "--zone") return std::nullopt;
  const std::string& zone = options.take();
  if (zone == "mark") return std::nullopt;
  return CtZone{parse_u16(zone, "zone")};
}

std::optional<Target> parse_nflog(Options options) {
  Nflog target;
  while (!options.done()) {
    const std::string& name = options.take();
    if (options.left() == 0) return std::nullopt;
    const std::string& value = options.take();
    if (name == "--nflog-group") {
      target.group = parse_u16(value, "group");
    } else if (name == "--nflog-prefix") {
      std::optional<std::string> prefix = unquoted(value);
      if (!prefix || !is_nflog_prefix(*prefix)) return std::nullopt;
      target.prefix = std::move(*prefix);
    } else {
      return std::nullopt;
    }
  }
  return target;
}

std::optional<Target> parse_known_target(const std::string& name, Options options) {
  if (name == "REDIRECT") return parse_redirect(options);
  if (name == "REJECT") return parse_reject(options);
  if (name == "MARK") return parse_set_mark(options);
  if (name == "CONNMARK") return parse_connmark(options);
  if (name == "TPROXY") return parse_tproxy(options);
  if (name == "CT") return parse_ct(options);
  if (name == "NFLOG") return parse_nflog(options);
  return std::nullopt;
}

}  // namespace

Target parse_target(const std::string& name, const Words& options,
                    const std::set<std::string>& chains) {
  if (options.empty()) {
    if (name == "ACCEPT") return Accept{};
    if (name == "DROP") return Drop{};
    if (name == "RETURN") return Return{};
    if (chains.contains(name)) return Jump{name};
  }
  if (std::optional<Target> target = parse_known_target(name, Options(options))) return *target;
  const std::string text = join(options);
  return Opaque{"-j " + name + (text.empty() ? "" : " ") + text};
}

}  // namespace sluice
