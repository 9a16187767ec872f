//! The border to the host: imports of module `alga`, `alloc`, and the body of `handler`. Not for extensions.

use crate::{log, Code, Error, IntoAnswer, Request, Result};
use serde::{de::DeserializeOwned, Deserialize, Serialize};

/// A pointer and a length, as the host writes and reads them behind `out_ptr`.
#[repr(C)]
pub struct Slice {
    data: *mut u8,
    size: usize,
}

/// Room for `size` bytes that is never given back: an instance lives for one call.
pub fn alloc(size: usize) -> *mut u8 {
    let mut room = Vec::<u8>::with_capacity(size);
    let data = room.as_mut_ptr();
    std::mem::forget(room);
    data
}

/// The body of the export `handler`. 0, or 1 when the request is not what the contract says.
///
/// # Safety
/// `request` points at `size` readable bytes, `out` at a writable [`Slice`].
pub unsafe fn serve<A: IntoAnswer>(
    request: *const u8,
    size: usize,
    out: *mut Slice,
    handle: impl FnOnce(&Request) -> A,
) -> i32 {
    std::panic::set_hook(Box::new(|info| log::error(&info.to_string())));
    // Safety: as the caller promises.
    let bytes = unsafe { std::slice::from_raw_parts(request, size) };
    let request = match Request::parse(bytes) {
        Ok(request) => request,
        Err(error) => {
            log::error(&error.to_string());
            return 1;
        }
    };
    let answer = handle(&request).into_answer().into_bytes().leak();
    // Safety: as the caller promises.
    unsafe { out.write(Slice { data: answer.as_mut_ptr(), size: answer.len() }) };
    0
}

/// A host function: request JSON in, its code and response JSON out.
pub type HostFunction = fn(&[u8]) -> (i32, Vec<u8>);

#[derive(Deserialize)]
struct Refusal {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    message: String,
}

/// Makes a typed host call.
pub fn call<Q: Serialize, A: DeserializeOwned>(name: &'static str, host: HostFunction, request: &Q) -> Result<A> {
    let bytes = serde_json::to_vec(request).map_err(|error| Error::json(name, error))?;
    let (code, answer) = host(&bytes);
    if code == 0 {
        return serde_json::from_slice(&answer).map_err(|error| Error::json(name, error));
    }
    let message = serde_json::from_slice::<Refusal>(&answer).map(|refusal| refusal.error.message);
    Err(Error::Host { call: name, code: Code::from(code), message: message.unwrap_or_default() })
}

macro_rules! host_functions {
    ($($function:ident = $name:literal;)*) => {
        #[cfg(target_arch = "wasm32")]
        mod imports {
            use super::Slice;
            #[link(wasm_import_module = "alga")]
            extern "C" {
                $(#[link_name = $name] pub fn $function(request: *const u8, size: usize, out: *mut Slice) -> i32;)*
            }
        }
        $(
            #[doc = concat!("`", $name, "`")]
            pub fn $function(request: &[u8]) -> (i32, Vec<u8>) {
                #[cfg(target_arch = "wasm32")]
                // Safety: the import reads `size` bytes at `request`, and writes at `out` what it got by `alloc`.
                unsafe {
                    let mut out = Slice { data: std::ptr::null_mut(), size: 0 };
                    let code = imports::$function(request.as_ptr(), request.len(), &mut out);
                    let answer = if out.size == 0 { Vec::new() } else { Vec::from_raw_parts(out.data, out.size, out.size) };
                    (code, answer)
                }
                #[cfg(not(target_arch = "wasm32"))]
                crate::testing::answer($name, request)
            }
        )*
    };
}

host_functions! {
    http_fetch = "http.fetch";
    storage_get = "storage.get";
    storage_set = "storage.set";
    storage_delete = "storage.delete";
    storage_list = "storage.list";
    storage_bulk_put = "storage.bulk_put";
    secrets_get = "secrets.get";
    events_emit = "events.emit";
    schedules_register = "schedules.register";
    schedules_cancel = "schedules.cancel";
    metrics_counter = "metrics.counter";
    metrics_gauge = "metrics.gauge";
    metrics_histogram = "metrics.histogram";
    context_get = "context.get";
    user_get = "user.get";
}

macro_rules! log_functions {
    ($($function:ident = $name:literal;)*) => {
        #[cfg(target_arch = "wasm32")]
        mod log_imports {
            #[link(wasm_import_module = "alga")]
            extern "C" {
                $(#[link_name = $name] pub fn $function(text: *const u8, size: usize);)*
            }
        }
        $(
            #[doc = concat!("`", $name, "`")]
            pub fn $function(line: &str) {
                #[cfg(target_arch = "wasm32")]
                // Safety: the import reads `size` bytes of text.
                unsafe {
                    log_imports::$function(line.as_ptr(), line.len());
                }
                #[cfg(not(target_arch = "wasm32"))]
                crate::testing::keep_line($name, line);
            }
        )*
    };
}

log_functions! {
    log_info = "log_info";
    log_warn = "log_warn";
    log_error = "log_error";
}
