// What this room's route files share: binding member functions to routes, scopes, answers.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "features/access/request_input.h"
#include "features/extensions/routes.h"

namespace bulkhead::extensions {

net::Response json_answer(int status, const json::value& value);

// Base of the handler classes.
class RoomHandlers {
 public:
  explicit RoomHandlers(ExtensionsRoom room) : room_(room) {}

 protected:
  // The organization meant and the right to act in it.
  Task<Result<TenantScope>> scope_of(access::RouteContext& context, std::string_view permission);
  // An organization if one is meant; the platform's operators need none.
  Task<Result<std::optional<TenantScope>>> optional_scope_of(access::RouteContext& context,
                                                             std::string_view permission);
  Task<Result<Viewer>> viewer_of(access::RouteContext& context);
  // The streamed body in a staged file.
  Task<Result<ReceivedUpload>> receive(access::RouteContext& context);

  ExtensionsRoom room_;
};

struct RouteSpec {
  net::Method method = net::Method::kGet;
  std::string pattern;
  std::string_view permission;
  std::string_view summary;
};

template <typename Handlers>
class RouteList {
 public:
  using Act = Task<Result<net::Response>> (Handlers::*)(access::RouteContext&);

  explicit RouteList(ExtensionsRoom room) : handlers_(std::make_shared<Handlers>(room)) {}

  void add(RouteSpec spec, Act act) {
    const auto limit = net::is_safe(spec.method) ? access::LimitClass::kRead : access::LimitClass::kWrite;
    append(std::move(spec), act, limit, {});
  }
  // A bundle comes in the body.
  void add_upload(RouteSpec spec, Act act) {
    append(std::move(spec), act, access::LimitClass::kUpload,
           {.mode = net::BodyPlan::Mode::kStreamed, .limit = kMaxUpload, .deadline = std::chrono::minutes(10)});
  }
  access::Routes take() { return std::move(routes_); }

 private:
  void append(RouteSpec spec, Act act, access::LimitClass limit, net::BodyPlan body) {
    routes_.push_back({.method = spec.method,
                       .pattern = std::move(spec.pattern),
                       .access = access::Route::Permission{spec.permission},
                       .limit = limit,
                       .body = body,
                       .summary = spec.summary,
                       .handler = [handlers = handlers_, act](access::RouteContext& context) {
                         return answer(handlers, act, context);
                       }});
  }
  // Named, so that its parameters live in its own frame.
  static Task<net::Response> answer(std::shared_ptr<Handlers> handlers, Act act, access::RouteContext& context) {
    auto response = co_await (handlers.get()->*act)(context);
    if (!response) co_return access::problem_response(response.error(), context);
    co_return std::move(*response);
  }

  std::shared_ptr<Handlers> handlers_;
  access::Routes routes_;
};

// "?host=…": kMissingParameter when it is not there.
Result<std::string> required_query(const access::RouteContext& context, std::string_view name);
std::optional<std::string> optional_query(const access::RouteContext& context, std::string_view name);

template <typename T>
bool trim_to(std::vector<T>& items, std::size_t limit) {
  const bool has_more = items.size() > limit;
  if (has_more) items.resize(limit);
  return has_more;
}

}  // namespace bulkhead::extensions
