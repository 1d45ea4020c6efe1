// SPDX-License-Identifier: GPL-2.0-or-later
// The names of our chains, the same in all tables: Istio's, and ISTIO_REJECT and ISTIO_VIRTUAL,
// which Istio has not. All that has one of these names is ours (ownership.h).
#pragma once

#include <array>
#include <string_view>

namespace sluice {

inline constexpr const char* inbound_chain = "ISTIO_INBOUND";
inline constexpr const char* inbound_redirect_chain = "ISTIO_IN_REDIRECT";
inline constexpr const char* output_chain = "ISTIO_OUTPUT";
inline constexpr const char* redirect_chain = "ISTIO_REDIRECT";
inline constexpr const char* reject_chain = "ISTIO_REJECT";
inline constexpr const char* dns_chain = "ISTIO_OUTPUT_DNS";
inline constexpr const char* virtual_chain = "ISTIO_VIRTUAL";
inline constexpr const char* divert_chain = "ISTIO_DIVERT";
inline constexpr const char* tproxy_chain = "ISTIO_TPROXY";
inline constexpr const char* drop_chain = "ISTIO_DROP";

inline constexpr std::array<std::string_view, 10> chain_names{
    inbound_chain, inbound_redirect_chain, output_chain, redirect_chain, reject_chain,
    dns_chain,     virtual_chain,          divert_chain, tproxy_chain,   drop_chain};

}  // namespace sluice
