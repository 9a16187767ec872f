use crate::Response;
use std::fmt;

/// What a call of this library comes to.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the host refused a call: the negative numbers of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// -1: the capability (or host, or secret) is not granted.
    Denied,
    /// -2: the request is not valid.
    Invalid,
    /// -3: there is no such thing.
    NotFound,
    /// -4: somebody else was first.
    Conflict,
    /// -5: too large.
    TooLarge,
    /// -6: a deadline came first.
    Timeout,
    /// -7: the host, or what it asked, failed.
    Internal,
    /// -8: a quota is used up.
    Quota,
    /// A number that this version of the library does not know.
    Other(i32),
}

impl From<i32> for Code {
    fn from(code: i32) -> Self {
        match code {
            -1 => Self::Denied,
            -2 => Self::Invalid,
            -3 => Self::NotFound,
            -4 => Self::Conflict,
            -5 => Self::TooLarge,
            -6 => Self::Timeout,
            -7 => Self::Internal,
            -8 => Self::Quota,
            other => Self::Other(other),
        }
    }
}

impl From<Code> for i32 {
    fn from(code: Code) -> Self {
        match code {
            Code::Denied => -1,
            Code::Invalid => -2,
            Code::NotFound => -3,
            Code::Conflict => -4,
            Code::TooLarge => -5,
            Code::Timeout => -6,
            Code::Internal => -7,
            Code::Quota => -8,
            Code::Other(other) => other,
        }
    }
}

/// What can go wrong. Returned by a handler it becomes a problem document (RFC 9457), and a line in the log.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The host refused a call.
    Host {
        /// The call's name, such as `storage.get`.
        call: &'static str,
        /// The reason.
        code: Code,
        /// The reason in words, for logs; may be empty.
        message: String,
    },
    /// JSON that does not fit the type it was read into, or a value that JSON cannot carry.
    Json {
        /// Whose JSON it was: a host call, `body`, `config`.
        what: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// An answer of the extension's own making: see [`Error::problem`].
    Problem {
        /// The HTTP status.
        status: u16,
        /// A short code for programs.
        code: String,
        /// A sentence for people.
        detail: String,
    },
}

impl Error {
    /// An error that reaches the caller as it is: a problem document with `status`, `code` and `detail`.
    ///
    /// ```
    /// use bulkhead_extension::{Error, Request, Response, Result};
    ///
    /// fn handle(request: &Request) -> Result<Response> {
    ///     let id = request.param("id").ok_or(Error::problem(404, "order_not_found", "There is no such order."))?;
    ///     Ok(Response::text(200, id))
    /// }
    /// ```
    pub fn problem(status: u16, code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Problem { status, code: code.into(), detail: detail.into() }
    }

    pub(crate) fn json(what: &'static str, error: serde_json::Error) -> Self {
        Self::Json { what, message: error.to_string() }
    }

    /// The host's reason, where the host is the reason.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Host { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// As a caller sees it: a problem as it is, a body that does not fit as 400, the host's refusals as 502, 503 or 504
    /// without their words.
    pub fn to_response(&self) -> Response {
        match self {
            Self::Problem { status, code, detail } => Response::problem(*status, code, detail),
            Self::Json { what: "body", message } => Response::problem(400, "invalid_body", message),
            Self::Json { .. } => {
                Response::problem(500, "invalid_json", "The extension read JSON that it did not expect.")
            }
            Self::Host { code: Code::Timeout, .. } => Response::problem(504, "host_timeout", "Try again in a moment."),
            Self::Host { code: Code::Denied, call, .. } => {
                Response::problem(502, "host_denied", &format!("{call} is not granted to this extension."))
            }
            Self::Host { .. } => Response::problem(503, "host_failed", "Try again in a moment."),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { call, code, message } if message.is_empty() => write!(f, "{call}: {code:?}"),
            Self::Host { call, code, message } => write!(f, "{call}: {code:?}: {message}"),
            Self::Json { what, message } => write!(f, "{what}: {message}"),
            Self::Problem { status, code, detail } => write!(f, "{status} {code}: {detail}"),
        }
    }
}

impl std::error::Error for Error {}
