//! Bulkhead extensions in Rust: guest ABI v1 for `wasm32-unknown-unknown`.
//!
//! Write a function from [`Request`] to [`Result<Response>`](Result) and hand it to [`export!`]:
//!
//! ```
//! use bulkhead_extension::{export, log_info, storage, Request, Response, Result};
//!
//! fn handle(request: &Request) -> Result<Response> {
//!     let name = request.param("name").unwrap_or("world");
//!     let visits = storage::get::<u64>(name)?.map_or(0, |stored| stored.value) + 1;
//!     storage::set(name, &visits)?;
//!     log_info!("visit {visits} of {name}");
//!     Response::json(200, &serde_json::json!({ "name": name, "visits": visits }))
//! }
//!
//! export!(handle);
//! ```
//!
//! An instance lives for one call: statics start afresh each time, and nothing needs to be freed. A missing grant is an
//! [`Error`] with [`Code::Denied`], never a trap. What a panic says goes to the execution's log before the call ends.
//!
//! On any other target than wasm32 the host calls lead to [`testing`], so that handlers can be tested by `cargo test`.
//!
//! The exact JSON of every call is in the project's `api/abi/`.
#![warn(missing_docs)]

#[doc(hidden)]
pub mod abi;
mod base64;
mod error;
mod request;
mod response;

pub mod context;
pub mod events;
pub mod http;
pub mod log;
pub mod metrics;
pub mod schedules;
pub mod secrets;
pub mod storage;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod user;

pub use context::Context;
pub use error::{Code, Error, Result};
pub use request::{Event, HttpCall, Reason, Request, ScheduleFiring};
pub use response::{IntoAnswer, Response};
pub use serde_json::{json, Value};

/// Makes a function the extension's handler: defines the module's exports `alloc` and `handler`.
///
/// The function takes `&Request` and gives a [`Response`] or a [`Result<Response>`](Result).
///
/// ```
/// use bulkhead_extension::{export, Request, Response};
///
/// fn hello(_: &Request) -> Response {
///     Response::text(200, "hello")
/// }
///
/// export!(hello);
/// ```
#[macro_export]
macro_rules! export {
    ($handler:path) => {
        #[cfg(target_arch = "wasm32")]
        #[no_mangle]
        extern "C" fn alloc(size: usize) -> *mut u8 {
            $crate::abi::alloc(size)
        }

        #[cfg(target_arch = "wasm32")]
        #[no_mangle]
        unsafe extern "C" fn handler(request: *const u8, size: usize, out: *mut $crate::abi::Slice) -> i32 {
            // Safety: the host wrote `size` bytes to `request` and gives 8 bytes at `out` (guest ABI v1).
            unsafe { $crate::abi::serve(request, size, out, $handler) }
        }

        // On other targets nothing is exported; the function still has to fit.
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            fn fits<A: $crate::IntoAnswer>(_: fn(&$crate::Request) -> A) {}
            fn check() {
                fits($handler);
            }
            let _ = check;
        };
    };
}
