// SPDX-License-Identifier: GPL-2.0-or-later
// In the static programs these stand in for the C library's functions, which would load the shared
// libraries of the host's name service (nsswitch.conf(5)). libnl refers to them for texts that
// nobody here asks for; what it gets is that there is no such name.
#include <netdb.h>

extern "C" {

int getaddrinfo(const char* /*node*/, const char* /*service*/, const addrinfo* /*hints*/,
                addrinfo** /*result*/) {
  return EAI_FAIL;
}

int getnameinfo(const sockaddr* /*address*/, socklen_t /*size*/, char* /*host*/,
                socklen_t /*host_size*/, char* /*service*/, socklen_t /*service_size*/,
                int /*flags*/) {
  return EAI_FAIL;
}

void freeaddrinfo(addrinfo* /*result*/) noexcept {}

protoent* getprotobyname(const char* /*name*/) {
  return nullptr;
}

protoent* getprotobynumber(int /*number*/) {
  return nullptr;
}

}  // extern "C"
