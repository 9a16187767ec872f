#include "features/egress/target_url.h"

#include <algorithm>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <charconv>

namespace bulkhead::egress {
namespace {

namespace ip = boost::asio::ip;

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

// Labels of letters, digits and hyphens; one dot may end the name (it then is another name, which no grant covers).
bool is_name(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty() || host.size() > 253) return false;
  std::size_t label = 0;
  for (const char c : host) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
    } else if ((!is_letter(c) && !is_digit(c) && c != '-') || ++label > 63) {
      return false;
    }
  }
  return label > 0;
}

// WHATWG URL, "ends in a number": such a host is an IPv4 address to some parsers, whatever the other labels are.
bool ends_in_number(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  const auto last = host.substr(host.rfind('.') + 1);
  if (std::ranges::all_of(last, is_digit)) return true;
  return last.starts_with("0x") || last.starts_with("0X");
}

// The length of "https:" in text that begins with a scheme, else 0.
std::size_t scheme_length(std::string_view text) {
  if (text.empty() || !is_letter(text[0])) return 0;
  const auto end = std::ranges::find_if(
      text, [](char c) { return !is_letter(c) && !is_digit(c) && c != '+' && c != '-' && c != '.'; });
  if (end == text.end() || *end != ':') return 0;
  return static_cast<std::size_t>(end - text.begin()) + 1;
}

// RFC 3986 §5.2.4
std::string without_dot_segments(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const auto end = std::min(path.find('/', 1), path.size());
    const auto segment = path.substr(0, end);  // with its leading slash
    path.remove_prefix(end);
    if (segment == "/.." || segment == "/.") {
      if (segment == "/..") out.resize(out.rfind('/') == std::string::npos ? 0 : out.rfind('/'));
      if (path.empty()) out += '/';
    } else {
      out += segment;
    }
  }
  return out.empty() ? "/" : out;
}

std::string encoded(std::string_view location) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : location) {
    const auto byte = static_cast<unsigned char>(c);
    if (c != ' ' && byte < 0x80) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    }
  }
  return out;
}

}  // namespace

FetchResult<TargetUrl> TargetUrl::parse(std::string_view text) {
  if (text.size() > kMaxUrl) return invalid("The URL is longer than 8 KiB.");
  const bool plain = std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F && c != '\\'; });
  if (!plain) return invalid("The URL must be ASCII without spaces, controls and backslashes; percent-encode them.");
  const auto scheme_end = scheme_length(text);
  if (scheme_end == 0 || !text.substr(scheme_end).starts_with("//")) return invalid("The URL must be absolute.");
  const auto scheme = lower(text.substr(0, scheme_end));
  if (scheme != "http:" && scheme != "https:") return denied("scheme", "Only http and https URLs can be fetched.");
  TargetUrl url;
  url.https_ = scheme == "https:";
  auto rest = text.substr(scheme_end + 2);
  rest = rest.substr(0, rest.find('#'));
  const auto authority_end = std::min(rest.find_first_of("/?"), rest.size());
  if (auto parsed = url.parse_authority(rest.substr(0, authority_end)); !parsed) {
    return std::unexpected(std::move(parsed.error()));
  }
  rest.remove_prefix(authority_end);
  url.target_ = rest.starts_with('/') ? std::string(rest) : "/" + std::string(rest);
  return url;
}

FetchResult<void> TargetUrl::parse_authority(std::string_view text) {
  if (text.contains('@')) return invalid("The URL must not carry a user name; send an authorization header.");
  const auto host_end = text.starts_with('[') ? text.find(']') : std::min(text.find(':'), text.size()) - 1;
  if (host_end == std::string_view::npos) return invalid("The URL's host is not valid.");
  const auto host = text.substr(0, host_end + 1);
  text.remove_prefix(host_end + 1);
  port_ = https_ ? 443 : 80;
  if (!text.empty()) {
    const auto digits = text.substr(1);
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port_);
    const bool whole = failed == std::errc() && end == digits.data() + digits.size();
    if (text[0] != ':' || !whole || port_ == 0) return invalid("The URL's port is not valid.");
  }
  return parse_host(host);
}

FetchResult<void> TargetUrl::parse_host(std::string_view text) {
  boost::system::error_code failed;
  if (text.starts_with('[')) {
    const auto inside = text.substr(1, text.size() - 2);
    const auto address = ip::make_address_v6(std::string(inside), failed);
    if (failed || inside.contains('%')) return invalid("The URL's host is not a valid IPv6 address.");
    host_ = "[" + address.to_string() + "]";
    return {};
  }
  if (!is_name(text)) {
    return invalid("The URL's host is not valid; write international names in their xn-- form.");
  }
  host_ = lower(text);
  if (!ends_in_number(host_)) return {};
  const auto address = ip::make_address_v4(host_, failed);
  if (failed || address.to_string() != host_) {
    return denied("host_form", "The URL's host is a number; write addresses as four decimal numbers.");
  }
  return {};
}

FetchResult<TargetUrl> TargetUrl::resolve(std::string_view location) const {
  if (location.size() > kMaxUrl) return upstream_error("The redirect's target is too long.");
  const std::string reference = encoded(location.substr(0, location.find('#')));
  const std::string_view view(reference);
  const auto origin = std::string(https_ ? "https:" : "http:");
  const auto bad = [](FetchResult<TargetUrl> target) -> FetchResult<TargetUrl> {
    // The guest's request was fine; what is denied stays denied.
    if (!target && target.error().code == protocol::HostCode::kInvalid) {
      return upstream_error("The redirect's target is not a valid URL.");
    }
    return target;
  };
  if (scheme_length(view) > 0) return bad(parse(view));
  if (view.starts_with("//")) return bad(parse(origin + reference));
  const std::string_view base = path();
  const auto query = std::min(view.find('?'), view.size());
  std::string target;
  if (view.starts_with('/')) {
    target = without_dot_segments(view.substr(0, query));
  } else if (query > 0) {
    target = without_dot_segments(std::string(base.substr(0, base.rfind('/') + 1)) + reference.substr(0, query));
  } else {
    target = reference.empty() ? target_ : std::string(base);
  }
  target += view.substr(query);
  return bad(parse(origin + "//" + authority() + target));
}

std::string TargetUrl::authority() const {
  return port_ == (https_ ? 443 : 80) ? host_ : host_ + ":" + std::to_string(port_);
}

std::string TargetUrl::to_string() const { return (https_ ? "https://" : "http://") + authority() + target_; }

}  // namespace bulkhead::egress
