// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "rules/error.h"
#include "rules/ip.h"

namespace sluice::agent {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds connect_limit{10'000};
constexpr std::string_view scheme = "https://";

template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
  // The variadic function is the library's; its own macro checks types only in C.
  const CURLcode code = curl_easy_setopt(easy, option, value);  // NOLINT(*-vararg)
  if (code != CURLE_OK) {
    throw Error(std::string("set option ") + std::to_string(option) +
                " of libcurl: " + curl_easy_strerror(code));
  }
}

template <class Value>
Value get(CURL* easy, CURLINFO info) {
  Value value{};
  curl_easy_getinfo(easy, info, &value);  // NOLINT(*-vararg)
  return value;
}

// "https://10.96.0.1:443" and nothing more: curl would read user names, paths and host names.
void check_url(const std::string& url) {
  const std::string what = "the API server's URL " + quote(url);
  if (url.substr(0, scheme.size()) != scheme) throw Error(what + " does not begin with https://");
  std::string host = url.substr(scheme.size());
  const std::size_t bracket = host.find(']');
  const std::size_t colon = host.find(':', bracket == std::string::npos ? 0 : bracket);
  try {
    if (colon != std::string::npos) {
      parse_port(host.substr(colon + 1));
      host.resize(colon);
    }
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    const IpAddress address = parse_address(bracketed ? host.substr(1, host.size() - 2) : host);
    if (bracketed != (address.family == Family::ipv6)) throw Error("brackets");
  } catch (const Error&) {
    throw Error(what + " is not an IP address and a port");
  }
}

// The token becomes a line of the request.
void check_token(const std::string& token) {
  const bool plain =
      std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 127; });
  if (!plain) throw Error("the service account's token has characters that no token has");
}

int errno_of(CURLcode code, long os_errno) {
  switch (static_cast<int>(code)) {
    case CURLE_OPERATION_TIMEDOUT:
      return ETIMEDOUT;
    case CURLE_COULDNT_CONNECT:
      return os_errno != 0 ? static_cast<int>(os_errno) : ECONNREFUSED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return EKEYREJECTED;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
      return ECONNRESET;
    case CURLE_OUT_OF_MEMORY:
      return ENOMEM;
    default:
      return EPROTO;
  }
}

void initialize_library() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK) throw Error(ENOMEM, "initialize libcurl");
}

}  // namespace

// One request under way: what libcurl's callbacks, which must not throw, have to know.
struct ApiServer::Connection::Transfer {
  CURL* easy = nullptr;
  std::unique_ptr<curl_slist, Handle> headers = {};
  std::array<char, CURL_ERROR_SIZE> error{};
  std::string body = {};
  // Of a stream; nullptr otherwise.
  const std::function<bool(std::string_view)>* on_data = nullptr;
  const std::function<bool()>* stop = nullptr;
  Patience patience = {};
  Clock::time_point heard = Clock::now();
  bool answered = false;
  // Why the transfer was ended from here.
  enum class End { none, wanted, silence, no_answer, oversize, exception } end = End::none;
  std::exception_ptr exception = {};

  long status() const { return get<long>(easy, CURLINFO_RESPONSE_CODE); }

  // Runs what may throw; whether to go on.
  template <class Function>
  bool guarded(Function function) {
    try {
      return function();
    } catch (...) {
      exception = std::current_exception();
      end = End::exception;
      return false;
    }
  }

  bool pass(std::string_view data) {
    return guarded([&] {
      if (!(*on_data)(data)) end = End::wanted;
      return end == End::none;
    });
  }

  bool take(std::string_view data) {
    heard = Clock::now();
    if (on_data != nullptr && status() == http::ok) return pass(data);
    return guarded([&] {
      if (body.size() + data.size() > api_body_limit) end = End::oversize;
      if (end == End::none) body += data;
      return end == End::none;
    });
  }

  bool take_header(std::string_view line) {
    heard = Clock::now();
    if (line != "\r\n" || status() < http::ok) return true;
    answered = true;
    return on_data == nullptr || status() != http::ok || pass({});
  }

  bool go_on() {
    return guarded([&] {
      const auto quiet = Clock::now() - heard;
      if ((*stop)()) {
        end = End::wanted;
      } else if (!answered && quiet > patience.answer) {
        end = End::no_answer;
      } else if (answered && quiet > patience.silence) {
        end = End::silence;
      }
      return end == End::none;
    });
  }

  static std::size_t write(char* data, std::size_t size, std::size_t count, void* self) {
    return static_cast<Transfer*>(self)->take({data, size * count}) ? size * count
                                                                    : CURL_WRITEFUNC_ERROR;
  }
  static std::size_t header(char* data, std::size_t size, std::size_t count, void* self) {
    return static_cast<Transfer*>(self)->take_header({data, size * count}) ? size * count
                                                                           : CURL_WRITEFUNC_ERROR;
  }
  static int progress(void* self, curl_off_t /*total*/, curl_off_t /*now*/, curl_off_t /*to_send*/,
                      curl_off_t /*sent*/) {
    return static_cast<Transfer*>(self)->go_on() ? 0 : 1;
  }
};

ApiServer::Connection::Connection(ApiConfig config)
    : config_(std::move(config)),
      token_(config_.token_file, "the service account's token"),
      ca_(config_.ca_file, "the API server's CA certificate") {
  check_url(config_.url);
  initialize_library();
}

bool ApiServer::Connection::renew_token() {
  try {
    return token_.refresh(true);
  } catch (const Error&) {
    return false;  // the 401 is the better message
  }
}

// A new handle has no connection of the old one: what an older CA vouched for is not used again.
void ApiServer::Connection::open() {
  easy_.reset(curl_easy_init());
  if (!easy_) throw Error(ENOMEM, "make a libcurl handle");
  CURL* easy = easy_.get();
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_PROTOCOLS_STR, "https");
  set(easy, CURLOPT_FOLLOWLOCATION, 0L);
  set(easy, CURLOPT_PROXY, "");
  set(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(easy, CURLOPT_PATH_AS_IS, 1L);
  set(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  set(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  // A resumed session would not look at the certificate again.
  set(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
  // Built in are the distribution's CAs: none of them may vouch for the cluster's server.
  set(easy, CURLOPT_CAINFO, static_cast<const char*>(nullptr));
  set(easy, CURLOPT_CAPATH, static_cast<const char*>(nullptr));
  std::string ca = ca_.text();
  curl_blob blob{.data = ca.data(), .len = ca.size(), .flags = CURL_BLOB_COPY};
  set(easy, CURLOPT_CAINFO_BLOB, &blob);
  // A server that is gone without a word is noticed within a minute.
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_TCP_KEEPIDLE, 15L);
  set(easy, CURLOPT_TCP_KEEPINTVL, 5L);
  set(easy, CURLOPT_USERAGENT, "sluice-agent/" SLUICE_VERSION);
  set(easy, CURLOPT_WRITEFUNCTION, &Transfer::write);
  set(easy, CURLOPT_HEADERFUNCTION, &Transfer::header);
  set(easy, CURLOPT_XFERINFOFUNCTION, &Transfer::progress);
}

void ApiServer::Connection::prepare(const Request& request, Transfer& transfer) {
  if (ca_.refresh() || !easy_) open();
  token_.refresh();
  check_token(token_.text());
  CURL* easy = easy_.get();
  transfer.easy = easy;
  const auto add_header = [&](const std::string& line) {
    curl_slist* longer = curl_slist_append(transfer.headers.get(), line.c_str());
    if (longer == nullptr) throw Error(ENOMEM, "make a request");
    static_cast<void>(transfer.headers.release());
    transfer.headers.reset(longer);
  };
  add_header("Authorization: Bearer " + token_.text());
  add_header("Accept: application/json");
  add_header("Expect:");
  if (!request.body.empty()) add_header("Content-Type: " + request.content_type);
  set(easy, CURLOPT_HTTPHEADER, transfer.headers.get());
  set(easy, CURLOPT_URL, (config_.url + request.path).c_str());
  if (request.body.empty()) {
    set(easy, CURLOPT_HTTPGET, 1L);
  } else {
    set(easy, CURLOPT_POST, 1L);
    set(easy, CURLOPT_POSTFIELDS, request.body.c_str());
    set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  set(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  set(easy, CURLOPT_ERRORBUFFER, transfer.error.data());
  set(easy, CURLOPT_WRITEDATA, &transfer);
  set(easy, CURLOPT_HEADERDATA, &transfer);
  set(easy, CURLOPT_XFERINFODATA, &transfer);
  set(easy, CURLOPT_NOPROGRESS, transfer.stop == nullptr ? 1L : 0L);
}

ApiResponse ApiServer::Connection::perform(const Request& request, Transfer& transfer) {
  const CURLcode code = curl_easy_perform(easy_.get());
  // They end with this function, the handle does not.
  set(easy_.get(), CURLOPT_HTTPHEADER, static_cast<curl_slist*>(nullptr));
  set(easy_.get(), CURLOPT_ERRORBUFFER, static_cast<char*>(nullptr));
  if (transfer.exception) std::rethrow_exception(transfer.exception);
  using End = Transfer::End;
  const bool ended_here = transfer.end == End::wanted || transfer.end == End::silence;
  if (code != CURLE_OK && !ended_here) fail(code, request, transfer);
  ApiResponse response;
  response.status = transfer.answered ? transfer.status() : 0;
  response.body = std::move(transfer.body);
  response.retry_after = std::chrono::seconds(get<curl_off_t>(easy_.get(), CURLINFO_RETRY_AFTER));
  return response;
}

void ApiServer::Connection::fail(CURLcode code, const Request& request,
                                 const Transfer& transfer) const {
  const std::string doing =
      request.method + " " + config_.url + request.path.substr(0, request.path.find('?'));
  using End = Transfer::End;
  if (transfer.end == End::oversize) throw Error(EMSGSIZE, printable(doing));
  if (transfer.end == End::no_answer) throw Error(ETIMEDOUT, printable(doing));
  const int errnum = errno_of(code, get<long>(easy_.get(), CURLINFO_OS_ERRNO));
  const char* why = transfer.error[0] != '\0' ? transfer.error.data() : curl_easy_strerror(code);
  throw Error(std::error_code(errnum, std::generic_category()),
              printable(doing + ": " + std::string(why)));
}

ApiResponse ApiServer::Connection::send(const Request& request, milliseconds deadline) {
  Transfer transfer;
  prepare(request, transfer);
  // 0 would be no limit at all.
  const milliseconds limit = std::max(deadline, milliseconds(1));
  set(easy_.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(limit.count()));
  set(easy_.get(), CURLOPT_CONNECTTIMEOUT_MS,
      static_cast<long>(std::min(limit, connect_limit).count()));
  return perform(request, transfer);
}

ApiResponse ApiServer::Connection::stream(const std::string& path, const Patience& patience,
                                          const std::function<bool(std::string_view)>& on_data,
                                          const std::function<bool()>& stop) {
  Transfer transfer;
  transfer.on_data = &on_data;
  transfer.stop = &stop;
  transfer.patience = patience;
  const Request request{.path = path};
  prepare(request, transfer);
  set(easy_.get(), CURLOPT_TIMEOUT_MS, 0L);
  set(easy_.get(), CURLOPT_CONNECTTIMEOUT_MS,
      static_cast<long>(std::clamp(patience.answer, milliseconds(1), connect_limit).count()));
  return perform(request, transfer);
}

}  // namespace sluice::agent
