// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/tell/http_request.h"

namespace sluice::agent {
namespace {

const char* phrase_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

// Up to the next `end`, which is taken off `text` with it; all of it where there is none.
std::string_view cut(std::string_view& text, std::string_view end) {
  const std::size_t at = text.find(end);
  const std::string_view head = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + end.size());
  return head;
}

}  // namespace

bool is_complete(std::string_view received) {
  return received.size() > http_request_limit ||
         received.find("\r\n\r\n") != std::string_view::npos;
}

HttpRequest parse_http_request(std::string_view received) {
  if (received.size() > http_request_limit) return {.refusal = 431};
  std::string_view line = cut(received, "\r\n");
  const std::string_view method = cut(line, " ");
  std::string_view target = cut(line, " ");
  if (method.empty() || target.empty() || target.front() != '/' ||
      (line != "HTTP/1.1" && line != "HTTP/1.0")) {
    return {.refusal = 400};
  }
  return {.method = std::string(method), .path = std::string(cut(target, "?"))};
}

std::string print_http_answer(const HttpAnswer& answer, bool with_body) {
  std::string text = "HTTP/1.1 " + std::to_string(answer.status) + " " + phrase_of(answer.status) +
                     "\r\nContent-Type: " + answer.content_type +
                     "\r\nContent-Length: " + std::to_string(answer.body.size()) +
                     "\r\nCache-Control: no-store\r\nConnection: close\r\n";
  if (answer.status == 405) text += "Allow: GET, HEAD\r\n";
  text += "\r\n";
  if (with_body) text += answer.body;
  return text;
}

}  // namespace sluice::agent
