// SPDX-License-Identifier: GPL-2.0-or-later
// The parts of a rule as nf_tables' expressions: what nft(8) 1.0.6 makes of the text that
// nft/text.h prints. One source file per part; both directions stand together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "rules/kernel/nft/comparison.h"
#include "rules/kernel/nft/expression.h"
#include "rules/nft/model.h"
#include "rules/rule.h"

namespace sluice::kernel::nft {

namespace model = sluice::nft;

// In which direction of the packet an address or a port is looked for.
enum class Side : std::uint8_t { source, destination };

// All encode functions throw Error (EINVAL; ENOTSUP where nf_tables cannot do what iptables can)
// for what would not come back as it is.
void encode_family(Expressions& expressions, Family family);
void encode_address(Expressions& expressions, const AddressMatch& match, Side side);
void encode_address_set(Expressions& expressions, const std::string& set, Family family, Side side);
void encode_in(Expressions& expressions, const Interface& interface);
void encode_out(Expressions& expressions, const Interface& interface);
void encode_protocol(Expressions& expressions, Protocol protocol);
void encode_port_set(Expressions& expressions, const std::string& set);
void encode(Expressions& expressions, const Tcp& tcp);
void encode(Expressions& expressions, const Udp& udp);
void encode(Expressions& expressions, const Multiport& match);
void encode_flags(Expressions& expressions, const TcpFlags& flags);
void encode(Expressions& expressions, const Owner& owner);
void encode(Expressions& expressions, const Mark& match);
void encode(Expressions& expressions, const Connmark& match);
void encode(Expressions& expressions, const Conntrack& match);
void encode(Expressions& expressions, const Limit& match);

// Add what the relation says to the rule, mostly to the last of its matches. False if it is another
// one's, or the rule has no place for it. Whoever decodes encodes again and compares: no order of
// relations is checked here.
bool decode_family(const Comparison& comparison, model::Rule& rule);
bool decode_address(const Comparison& comparison, model::Rule& rule);
bool decode_interface(const Comparison& comparison, model::Rule& rule);
bool decode_protocol(const Comparison& comparison, model::Rule& rule);
bool decode_ports(const Comparison& comparison, model::Rule& rule);
bool decode_flags(const Comparison& comparison, model::Rule& rule);
bool decode_owner(const Comparison& comparison, model::Rule& rule);
bool decode_mark(const Comparison& comparison, model::Rule& rule);
bool decode_connmark(const Comparison& comparison, model::Rule& rule);
bool decode_conntrack(const Comparison& comparison, model::Rule& rule);
std::optional<Limit> decode_limit(const expr::Limit& limit);

// What stands behind the counter. Of a Tproxy: the first of its two rules.
void encode(Expressions& expressions, const Accept& target);
void encode(Expressions& expressions, const Drop& target);
void encode(Expressions& expressions, const Return& target);
void encode(Expressions& expressions, const Jump& target);
void encode(Expressions& expressions, const Redirect& target);
void encode(Expressions& expressions, const RejectWithTcpReset& target);
void encode(Expressions& expressions, const RejectWithPortUnreachable& target);
void encode(Expressions& expressions, const SetMark& target);
void encode(Expressions& expressions, const SaveMark& target);
void encode(Expressions& expressions, const RestoreMark& target);
// The family is the rule's.
void encode(Expressions& expressions, const Tproxy& target, std::optional<Family> family);
void encode(Expressions& expressions, const CtZone& target);
void encode(Expressions& expressions, const Nflog& target);

// `statements` is all that stands behind the counter.
std::optional<Target> decode_verdict(const Expressions& statements);
std::optional<Target> decode_redirect(const Expressions& statements);
std::optional<Target> decode_reject(const Expressions& statements);
std::optional<Target> decode_set_mark(const Expressions& statements);
std::optional<Target> decode_save_mark(const Expressions& statements);
std::optional<Target> decode_tproxy(const Expressions& statements, std::optional<Family> family);
std::optional<Target> decode_ct_zone(const Expressions& statements);
std::optional<Target> decode_log(const Expressions& statements);

// The expressions that set the packet's mark, at `position`, which then is behind them.
std::optional<SetMark> take_set_mark(const Expressions& statements, std::size_t& position);

// Register 1 or 2 becomes `data`.
expr::Immediate set_register(expr::Register reg, Bytes data);

// The match of this kind that stands last in the rule, nullptr if another one does.
template <class T>
T* last_match(model::Rule& rule) {
  return rule.rule.matches.empty() ? nullptr : std::get_if<T>(&rule.rule.matches.back());
}

}  // namespace sluice::kernel::nft
