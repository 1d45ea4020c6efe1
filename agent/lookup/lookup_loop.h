// SPDX-License-Identifier: GPL-2.0-or-later
// LookupServer at work.
#pragma once

#include <poll.h>

#include <chrono>
#include <list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/lookup/client.h"
#include "agent/lookup/lookup_server.h"
#include "agent/lookup/packet.h"
#include "agent/lookup/pod_fetcher.h"
#include "agent/lookup/rate_limit.h"
#include "agent/lookup/report_log.h"
#include "rules/kernel/fd.h"

namespace sluice::agent {

class LookupLoop {
 public:
  using Clock = std::chrono::steady_clock;

  // Listens from here on. Throws Error.
  LookupLoop(const LookupConfig& config, const ApiConfig& api, PodCache& cache, Health& health,
             const Log& log, const LookupHooks& hooks);

  void run(int stop_fd);

 private:
  bool is_done(bool stop_asked);
  Clock::time_point next_event() const;
  std::vector<pollfd> polled(int stop_fd) const;
  void serve_all();

  void accept_all();
  bool make_room();
  void welcome(kernel::Fd fd);
  void serve(Client& client, short events);
  void receive(Client& client);
  void handle(Client& client, std::string_view packet);
  void look_up(Client& client, const cni::LookupMessage& message);
  void take_report(const cni::ReportMessage& report);
  void answer_status(Client& client);

  void take_answers();
  void answer(Client& client, const PodRecord& pod, const char* source);
  void refuse(Client& client, const std::string& unknown);
  void end_late(Client& client);
  void look_after_socket();
  void complain(cni::LogLevel level, const std::string& text);

  const LookupConfig& config_;
  PodCache& cache_;
  Health& health_;
  const Log& log_;
  const LookupHooks& hooks_;

  PodFetcher fetcher_;
  std::set<PodQuestion> under_way_ = {};
  std::list<Client> clients_ = {};
  PacketBuffer buffer_ = {};
  ReportLog report_log_;
  RateLimit complaints_{20};
  Clock::time_point now_ = Clock::now();
  Clock::time_point accept_again_ = {};  // the listener is left alone until then
  Clock::time_point next_look_ = {};     // after the socket's file
  Clock::time_point stop_at_ = Clock::time_point::max();
  kernel::Fd listener_;
};

}  // namespace sluice::agent
