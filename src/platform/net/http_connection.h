// One client's connection: reads requests, has the service answer them in order, writes the answers. A coroutine per
// connection, on the core that accepted it; kept alive by that coroutine. Private to the server's .cpp files.
#pragma once

#include <memory>

#include "platform/net/chunk_decoder.h"
#include "platform/net/http_parser.h"
#include "platform/net/http_server_core.h"
#include "platform/net/socket_stream.h"

namespace bulkhead::net {

struct Peer {
  boost::asio::ip::address address;
  std::uint16_t port = 0;
  bool is_local_socket = false;
};

class Connection final : public std::enable_shared_from_this<Connection>,
                         private BodyReader,
                         private ResponseWriter,
                         private ClientLink {
 public:
  Connection(std::shared_ptr<ServerCore> core, StreamSocket socket, const Peer& peer);
  ~Connection() override;

  // The connection's whole life.
  static Task<> serve(std::shared_ptr<Connection> self);
  // Answers 503 whatever the client wants, and closes: the server has too many connections.
  static Task<> turn_away(std::shared_ptr<Connection> self);
  // Closes if no request is under way; otherwise the running answer will be the last.
  void wind_down();
  // Closes at once. A handler that is running finishes without a client.
  void cut() { stream_.close(); }

 private:
  // False when the connection is over.
  Task<bool> serve_one();
  Task<bool> answer_request();
  // Answers with the service's form of the error and closes.
  Task<bool> refuse(Error error);
  SteadyTime head_deadline(bool idle);

  // --- http_connection_body.cpp: the request's body
  void begin_body(const BodyPlan& plan);
  bool has_unread_body() const { return body_ != BodyState::kNone; }
  // False when what is left is too much or unknowable, so that the connection can't be used again.
  bool can_skip_body() const;
  bool take_ready_body();
  Task<Status> read_whole_body();
  Task<bool> skip_body();
  Task<Result<std::size_t>> read(std::span<char> into) override;
  Task<Result<std::size_t>> read_chunked(std::span<char> into);
  std::unexpected<Error> body_failure(Waited waited);
  Task<bool> flush() { return stream_.flush(core_->shared->options.write_timeout); }

  // --- http_connection_answer.cpp: the answer
  Task<bool> answer(Response& response, bool keep_alive);
  // Queues head and small bodies. Returns the body when it is too large to copy.
  std::string_view queue_answer(const Response& response, bool keep_alive);
  void queue_head(const Response& response, BodyFraming framing, std::uint64_t length, bool keep_alive);
  Task<bool> stream_answer(Response& response, bool keep_alive);
  Task<Status> write(std::string_view piece) override;
  void abort() override { writer_broken_ = true; }
  void flush_soon();
  // Sends what is queued once the requests that came in together have all been answered: a client that sleeps is woken
  // once and not once for each answer, which under load is a tenth of all CPU time.
  void flush_at_end_of_turn();
  void send_answers();
  // Tells the client that nothing more comes, and reads on for a moment: closing with unread input would reset the
  // connection and could destroy the answer on its way.
  Task<> linger();

  // --- ClientLink
  bool gone() const override { return stream_.peer_gone(); }
  void when_gone(std::move_only_function<void()> then) override;
  void watch_client();

  enum class BodyState : std::uint8_t { kNone, kLength, kChunked };

  const std::shared_ptr<ServerCore> core_;
  SocketStream stream_;
  RequestParser parser_;
  Request request_;
  SteadyTime head_deadline_{};  // of a head that has begun
  bool waits_for_request_ = false;
  bool receiving_head_ = false;
  bool flush_due_ = false;  // at the end of the turn
  bool served_ = false;     // at least one request

  BodyState body_ = BodyState::kNone;
  ChunkDecoder chunks_;
  bool body_broken_ = false;
  bool continue_due_ = false;  // the client waits for 100 Continue
  std::uint64_t body_left_ = 0;
  SteadyTime body_deadline_{};

  BodyFraming writer_framing_ = BodyFraming::kChunked;
  std::uint64_t writer_left_ = 0;
  bool writer_broken_ = false;

  std::move_only_function<void()> when_gone_;
  TimerWheel::Entry watch_;
};

}  // namespace bulkhead::net
