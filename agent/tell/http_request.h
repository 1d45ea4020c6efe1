// SPDX-License-Identifier: GPL-2.0-or-later
// What of an HTTP/1.1 request counts, RFC 9112 sections 2 to 3.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "agent/tell/http_server.h"

namespace sluice::agent {

inline constexpr std::size_t http_request_limit = std::size_t{4} * 1024;

struct HttpRequest {
  std::string method = {};
  std::string path = {};  // without its query, not decoded
  int refusal = 0;        // the status that says what is wrong with it; 0 if nothing is
};

// Whether `received` needs no more bytes: the empty line has come, or it is too large.
bool is_complete(std::string_view received);

// Of bytes that are complete. Never throws: they come from the network.
HttpRequest parse_http_request(std::string_view received);

// Status line, headers and, unless the method is HEAD, the body.
std::string print_http_answer(const HttpAnswer& answer, bool with_body);

}  // namespace sluice::agent
