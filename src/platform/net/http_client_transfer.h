// One outbound request: sets up a libcurl handle and collects its answer. Private to the HTTP client.
// Belongs to one core; libcurl calls back into it by address, so it never moves.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "platform/net/http_client.h"
#include "platform/process/unique_fd.h"

namespace bulkhead::net::detail {

struct FreeEasy {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

class Transfer {
 public:
  // kBadRequest, or what opening upload_file answers.
  // `buffered` counts the bytes of all answers of the client and outlives the transfer.
  static Result<std::unique_ptr<Transfer>> make(ClientRequest request, const HttpClientOptions& options,
                                                std::uint64_t& buffered);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  CURL* handle() { return easy_.get(); }
  // Which connections may be shared.
  std::string pool_key() const;
  // Tells the meter what is about to be sent.
  Status count_sent() const;
  // The answer, once libcurl is done with the handle.
  Result<ClientResponse> finish(CURLcode code);

 private:
  Transfer(ClientRequest request, Bytes max_buffered, std::uint64_t& buffered)
      : request_(std::move(request)), max_buffered_(max_buffered), buffered_(buffered) {}
  Status prepare(const HttpClientOptions& options);
  Status prepare_headers();
  Status prepare_body();
  Status prepare_target();
  std::uint64_t head_size() const;
  void set_connection_options(const HttpClientOptions& options);
  bool has_body() const { return !request_.body.empty() || !request_.upload_file.empty(); }

  std::size_t on_header(std::string_view line);
  std::size_t on_body(std::string_view piece);
  std::size_t read_body(char* into, std::size_t size);
  bool rewind_body(std::uint64_t offset);
  curl_socket_t open_socket(const curl_sockaddr& address);
  Status store(std::string_view piece);
  Status count_received();
  std::unexpected<Error> failure_of(CURLcode code, std::string detail) const;

  ClientRequest request_;
  Bytes max_buffered_;
  std::uint64_t& buffered_;
  std::unique_ptr<CURL, FreeEasy> easy_;
  std::unique_ptr<curl_slist, FreeList> header_list_;
  std::unique_ptr<curl_slist, FreeList> address_list_;
  std::string authority_;  // as the host field has it
  std::uint64_t body_size_ = 0;
  std::uint64_t header_list_bytes_ = 0;  // of request fields that are sent
  bool sends_body_ = false;
  std::array<char, CURL_ERROR_SIZE> error_text_{};
  std::chrono::steady_clock::time_point started_{};

  process::UniqueFd upload_;
  std::uint64_t upload_at_ = 0;
  process::UniqueFd download_;
  bool keep_download_ = false;
  std::uint64_t received_ = 0;
  std::uint64_t held_ = 0;     // our part of `buffered_`
  std::uint64_t counted_ = 0;  // bytes of the answer's body that the meter knows of
  int encodings_ = 0;

  ClientResponse response_;
  std::size_t header_bytes_ = 0;
  bool header_complete_ = false;
  std::optional<Error> failure_;  // ours: a cap, a file
  std::optional<Error> refusal_;  // the dial guard's
};

}  // namespace bulkhead::net::detail
