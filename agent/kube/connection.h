// SPDX-License-Identifier: GPL-2.0-or-later
// ApiServer's only part that knows libcurl. Not to be included outside of agent/kube.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "agent/kube/api_server.h"
#include "agent/kube/credential_file.h"

namespace sluice::agent {

class ApiServer::Connection {
 public:
  explicit Connection(ApiConfig config);

  // As ApiServer's, without the second try.
  ApiResponse send(const Request& request, std::chrono::milliseconds deadline);
  ApiResponse stream(const std::string& path, const Patience& patience,
                     const std::function<bool(std::string_view)>& on_data,
                     const std::function<bool()>& stop);

  // Reads the token whatever stat(2) says; whether it is another one. False where it cannot be
  // read.
  bool renew_token();

 private:
  struct Handle {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  struct Transfer;

  void prepare(const Request& request, Transfer& transfer);
  ApiResponse perform(const Request& request, Transfer& transfer);
  [[noreturn]] void fail(CURLcode code, const Request& request, const Transfer& transfer) const;
  void open();

  ApiConfig config_;
  CredentialFile token_;
  CredentialFile ca_;
  std::unique_ptr<CURL, Handle> easy_ = {};
};

}  // namespace sluice::agent
