// Templates of database.h: they carry a transaction's result from the database thread back to the caller's core.
#pragma once

namespace bulkhead::sql {

template <typename R, typename F>
R Database::call_work(F& work, Connection& connection, const std::optional<TenantScope>& scope) {
  if constexpr (std::is_invocable_v<F&, TenantTx&>) {
    TenantTx tx(connection, *scope);
    return work(tx);
  } else {
    SystemTx tx(connection);
    return work(tx);
  }
}

template <typename R, typename F>
Task<R> Database::run(Mode mode, std::optional<TenantScope> scope, F work) {
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void(R)>(
      [this, mode, scope](auto handler, F job) {
        struct State {
          F work;
          std::optional<TenantScope> scope;
          std::optional<R> result;
          decltype(handler) handler;
        };
        auto state = std::make_shared<State>(State{std::move(job), scope, std::nullopt, std::move(handler)});
        auto executor = asio::get_associated_executor(state->handler);
        auto guard = asio::prefer(executor, asio::execution::outstanding_work.tracked);
        submit(
            mode, state->scope ? &*state->scope : nullptr,
            [state](Connection& connection) -> Status {
              state->result.emplace(call_work<R>(state->work, connection, state->scope));
              if (!state->result->has_value()) return std::unexpected(state->result->error());
              return {};
            },
            [state, executor, guard = std::move(guard)](Status outcome) mutable {
              if (!outcome) state->result.emplace(std::unexpected(std::move(outcome.error())));
              // The guard goes along: once its coroutine runs, this thread no longer touches the core.
              asio::post(executor, [state = std::move(state), guard = std::move(guard)] {
                std::move(state->handler)(std::move(*state->result));
              });
            });
      },
      use_task, std::move(work));
}

template <typename F, typename R>
R Database::system_write_blocking(F work) {
  std::optional<R> result;
  Status outcome;
  submit_and_wait(
      Mode::kWrite,
      [&](Connection& connection) -> Status {
        SystemTx tx(connection);
        result.emplace(work(tx));
        if (!result->has_value()) return std::unexpected(result->error());
        return {};
      },
      outcome);
  if (!outcome) return std::unexpected(std::move(outcome.error()));
  return std::move(*result);
}

}  // namespace bulkhead::sql
