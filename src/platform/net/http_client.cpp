#include "platform/net/http_client.h"

#include <sys/epoll.h>

#include <bit>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <unordered_map>

#include "platform/net/http_client_transfer.h"

namespace bulkhead::net {
namespace {

using detail::Transfer;
using Clock = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;
using Answer = std::move_only_function<void(Result<ClientResponse>)>;

constexpr auto kIdlePool = std::chrono::seconds(60);

class Loop;

// The requests and connections of one pool key: one libcurl multi handle, so that no other key's requests can get at
// its connections.
class Pool {
 public:
  Pool(Loop& loop, std::uint32_t id, long idle_connections);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  std::uint32_t id() const { return id_; }
  std::size_t in_flight() const { return in_flight_.size(); }
  Clock::time_point last_used() const { return last_used_; }

  void start(std::uint64_t number, std::unique_ptr<Transfer> transfer, Answer answer);
  void act(curl_socket_t socket, int events);
  void cancel(std::uint64_t number, ErrorCode reason);
  void cancel_all(ErrorCode reason);

 private:
  struct Pending {
    std::unique_ptr<Transfer> transfer;
    Answer answer;
  };
  void complete_done();
  void watch(curl_socket_t socket, int what) const;
  void arm_timer(long milliseconds);

  Loop& loop_;
  std::uint32_t id_;
  CURLM* multi_;
  Timer timer_;
  std::unordered_map<std::uint64_t, Pending> in_flight_;  // by number
  Clock::time_point last_used_ = Clock::now();
};

// The client's state on its core. All sockets of all pools sit, level-triggered as libcurl wants it, in one epoll set,
// and the core watches that set as a single descriptor: libcurl may close and reuse socket numbers without Asio
// noticing.
class Loop : public std::enable_shared_from_this<Loop> {
 public:
  Loop(const Executor& executor, HttpClientOptions options)
      : options_(std::move(options)), sockets_(executor, ::epoll_create1(EPOLL_CLOEXEC)), sweep_timer_(executor) {}

  static Task<Result<ClientResponse>> send(std::shared_ptr<Loop> self, ClientRequest request);
  void shut_down();

  Executor executor() { return sockets_.get_executor(); }
  int epoll_fd() { return sockets_.native_handle(); }
  Pool* find(std::uint32_t id);

 private:
  Result<Pool*> pool_for(const std::string& key);
  bool end_idlest_pool();
  template <typename Handler>
  void start(Pool& pool, std::unique_ptr<Transfer> transfer, Handler handler);
  void arm();
  void on_events();
  void sweep();

  HttpClientOptions options_;
  asio::posix::basic_stream_descriptor<Executor> sockets_;
  Timer sweep_timer_;
  bool armed_ = false;
  bool closed_ = false;
  std::size_t in_flight_ = 0;   // of all pools
  std::uint64_t buffered_ = 0;  // bytes of answers; outlives the pools and so the transfers
  std::uint32_t last_id_ = 0;
  std::uint64_t last_number_ = 0;
  std::unordered_map<std::string, std::unique_ptr<Pool>> pools_;
  std::unordered_map<std::uint32_t, Pool*> by_id_;
};

// --- Pool --------------------------------------------------------------------------------------------------------
Pool::Pool(Loop& loop, std::uint32_t id, long idle_connections)
    : loop_(loop), id_(id), multi_(curl_multi_init()), timer_(loop.executor()) {
  BH_ASSERT(multi_ != nullptr);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, static_cast<void*>(this));
  curl_multi_setopt(
      multi_, CURLMOPT_SOCKETFUNCTION,
      +[](CURL* /*easy*/, curl_socket_t socket, int what, void* self, void* /*socket_data*/) {
        static_cast<Pool*>(self)->watch(socket, what);
        return 0;
      });
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, static_cast<void*>(this));
  curl_multi_setopt(
      multi_, CURLMOPT_TIMERFUNCTION, +[](CURLM* /*multi*/, long milliseconds, void* self) {
        static_cast<Pool*>(self)->arm_timer(milliseconds);
        return 0;
      });
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, idle_connections);
}

Pool::~Pool() {
  cancel_all(ErrorCode::kShuttingDown);
  curl_multi_cleanup(multi_);
}

void Pool::start(std::uint64_t number, std::unique_ptr<Transfer> transfer, Answer answer) {
  CURL* handle = transfer->handle();
  BH_ASSERT(curl_easy_setopt(handle, CURLOPT_PRIVATE, std::bit_cast<char*>(number)) == CURLE_OK);
  in_flight_.emplace(number, Pending{.transfer = std::move(transfer), .answer = std::move(answer)});
  last_used_ = Clock::now();
  BH_ASSERT(curl_multi_add_handle(multi_, handle) == CURLM_OK);
  act(CURL_SOCKET_TIMEOUT, 0);  // begins now instead of with the timer that libcurl has just set
}

void Pool::act(curl_socket_t socket, int events) {
  int running = 0;
  curl_multi_socket_action(multi_, socket, events, &running);
  complete_done();
}

void Pool::complete_done() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* handle = message->easy_handle;
    const CURLcode code = message->data.result;
    char* number = nullptr;
    curl_easy_getinfo(handle, CURLINFO_PRIVATE, &number);
    auto done = in_flight_.extract(std::bit_cast<std::uint64_t>(number));
    BH_ASSERT(!done.empty());
    curl_multi_remove_handle(multi_, handle);
    last_used_ = Clock::now();
    done.mapped().answer(done.mapped().transfer->finish(code));
  }
}

void Pool::cancel(std::uint64_t number, ErrorCode reason) {
  auto found = in_flight_.extract(number);
  if (found.empty()) return;
  curl_multi_remove_handle(multi_, found.mapped().transfer->handle());
  found.mapped().answer(fail(reason));
}

void Pool::cancel_all(ErrorCode reason) {
  while (!in_flight_.empty()) cancel(in_flight_.begin()->first, reason);
}

void Pool::watch(curl_socket_t socket, int what) const {
  epoll_event event{};
  if (what == CURL_POLL_REMOVE) {
    ::epoll_ctl(loop_.epoll_fd(), EPOLL_CTL_DEL, socket, &event);
    return;
  }
  if ((what & CURL_POLL_IN) != 0) event.events |= EPOLLIN;
  if ((what & CURL_POLL_OUT) != 0) event.events |= EPOLLOUT;
  event.data.u64 = std::uint64_t{id_} << 32U | static_cast<std::uint32_t>(socket);
  if (::epoll_ctl(loop_.epoll_fd(), EPOLL_CTL_MOD, socket, &event) != 0 && errno == ENOENT) {
    ::epoll_ctl(loop_.epoll_fd(), EPOLL_CTL_ADD, socket, &event);
  }
}

// libcurl must not be called from its own callback, so even 0 ms go through the timer.
void Pool::arm_timer(long milliseconds) {
  if (milliseconds < 0) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(Millis(milliseconds));
  timer_.async_wait([loop = loop_.weak_from_this(), id = id_](boost::system::error_code cancelled) {
    const auto alive = loop.lock();
    if (cancelled || !alive) return;
    if (Pool* pool = alive->find(id)) pool->act(CURL_SOCKET_TIMEOUT, 0);
  });
}

// --- Loop --------------------------------------------------------------------------------------------------------
Task<Result<ClientResponse>> Loop::send(std::shared_ptr<Loop> self, ClientRequest request) {
  if (self->closed_) co_return fail(ErrorCode::kShuttingDown);
  BH_CO_TRY(auto transfer, Transfer::make(std::move(request), self->options_, self->buffered_));
  BH_CO_TRY(Pool * pool, self->pool_for(transfer->pool_key()));
  if (pool->in_flight() >= self->options_.max_in_flight_per_pool || self->in_flight_ >= self->options_.max_in_flight) {
    co_return fail(ErrorCode::kOverloaded, "Too many outbound requests are in flight.");
  }
  BH_CO_TRY_VOID(transfer->count_sent());
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void(Result<ClientResponse>)>(
      [](auto handler, Loop* loop, Pool* chosen, std::unique_ptr<Transfer> job) {
        loop->start(*chosen, std::move(job), std::move(handler));
      },
      use_task, self.get(), pool, std::move(transfer));
}

template <typename Handler>
void Loop::start(Pool& pool, std::unique_ptr<Transfer> transfer, Handler handler) {
  auto slot = asio::get_associated_cancellation_slot(handler);
  const auto number = ++last_number_;
  const auto executor = asio::get_associated_executor(handler);
  if (slot.is_connected()) {
    // By number: this may still be called after the request is done.
    slot.assign([loop = weak_from_this(), id = pool.id(), number](asio::cancellation_type) {
      const auto alive = loop.lock();
      if (!alive) return;
      if (Pool* found = alive->find(id)) found->cancel(number, ErrorCode::kCancelled);
    });
  }
  // Posted, so that what the caller does next never runs inside libcurl's callbacks.
  ++in_flight_;
  pool.start(number, std::move(transfer),
             [this, executor, handler = std::move(handler)](Result<ClientResponse> result) mutable {
               --in_flight_;
               asio::post(executor, [handler = std::move(handler), result = std::move(result)]() mutable {
                 handler(std::move(result));
               });
             });
  arm();
}

Pool* Loop::find(std::uint32_t id) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

Result<Pool*> Loop::pool_for(const std::string& key) {
  if (const auto found = pools_.find(key); found != pools_.end()) return found->second.get();
  if (pools_.size() >= options_.max_pools && !end_idlest_pool())
    return fail(ErrorCode::kOverloaded, "Too many outbound connection pools are in use.");
  auto pool = std::make_unique<Pool>(*this, ++last_id_, options_.idle_connections_per_pool);
  Pool* made = pool.get();
  by_id_.emplace(made->id(), made);
  const bool first = pools_.empty();
  pools_.emplace(key, std::move(pool));
  if (first) sweep();
  return made;
}

// False when all pools are busy.
bool Loop::end_idlest_pool() {
  auto idlest = pools_.end();
  for (auto pool = pools_.begin(); pool != pools_.end(); ++pool) {
    if (pool->second->in_flight() > 0) continue;
    if (idlest == pools_.end() || pool->second->last_used() < idlest->second->last_used()) idlest = pool;
  }
  if (idlest == pools_.end()) return false;
  by_id_.erase(idlest->second->id());
  pools_.erase(idlest);
  return true;
}

// Waits for the epoll set, as long as there is something to wait for.
void Loop::arm() {
  if (armed_ || closed_ || in_flight_ == 0) return;
  armed_ = true;
  sockets_.async_wait(asio::posix::descriptor_base::wait_read,
                      [self = weak_from_this()](boost::system::error_code failed) {
                        const auto alive = self.lock();
                        if (failed || !alive) return;
                        alive->armed_ = false;
                        alive->on_events();
                        alive->arm();
                      });
}

void Loop::on_events() {
  std::array<epoll_event, 64> events{};
  const int count = ::epoll_wait(epoll_fd(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const auto& event = events.at(static_cast<std::size_t>(i));
    Pool* pool = find(static_cast<std::uint32_t>(event.data.u64 >> 32U));
    if (pool == nullptr) continue;
    int mask = 0;
    if ((event.events & (EPOLLIN | EPOLLHUP)) != 0) mask |= CURL_CSELECT_IN;
    if ((event.events & EPOLLOUT) != 0) mask |= CURL_CSELECT_OUT;
    if ((event.events & EPOLLERR) != 0) mask |= CURL_CSELECT_ERR;
    pool->act(static_cast<curl_socket_t>(static_cast<std::uint32_t>(event.data.u64)), mask);
  }
}

// Ends pools that nobody has used for a while: their idle connections may be closed at the other end, and nothing here
// would notice.
void Loop::sweep() {
  const auto now = Clock::now();
  std::erase_if(pools_, [&](const auto& entry) {
    const Pool& pool = *entry.second;
    if (pool.in_flight() > 0 || now - pool.last_used() < kIdlePool) return false;
    by_id_.erase(pool.id());
    return true;
  });
  if (pools_.empty() || closed_) return;
  sweep_timer_.expires_after(kIdlePool / 2);
  sweep_timer_.async_wait([self = weak_from_this()](boost::system::error_code cancelled) {
    const auto alive = self.lock();
    if (!cancelled && alive) alive->sweep();
  });
}

void Loop::shut_down() {
  closed_ = true;
  by_id_.clear();
  pools_.clear();
  sweep_timer_.cancel();
  boost::system::error_code ignored;
  sockets_.close(ignored);
}

// --- client ------------------------------------------------------------------------------------------------------
class CurlClient final : public HttpClient {
 public:
  CurlClient(Core& core, HttpClientOptions options)
      : core_(core), loop_(std::make_shared<Loop>(core.executor(), std::move(options))) {}
  ~CurlClient() override {
    if (core_.is_current()) {
      loop_->shut_down();
      return;
    }
    // The state belongs to the core's thread. Where that has stopped, the context destroys the work, and so the state.
    asio::post(core_.executor(), [loop = std::move(loop_)] { loop->shut_down(); });
  }
  CurlClient(const CurlClient&) = delete;
  CurlClient& operator=(const CurlClient&) = delete;

  Task<Result<ClientResponse>> send(ClientRequest request) override { return Loop::send(loop_, std::move(request)); }

 private:
  Core& core_;
  std::shared_ptr<Loop> loop_;
};

}  // namespace

std::unique_ptr<HttpClient> make_http_client(Core& core, HttpClientOptions options) {
  BH_ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);  // counted, and thread-safe since libcurl 7.84
  return std::make_unique<CurlClient>(core, std::move(options));
}

}  // namespace bulkhead::net
