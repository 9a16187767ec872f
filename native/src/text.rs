//! WebAssembly text for tests and benchmarks.

use crate::buffer::{slice, Buffer};

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_wat_to_wasm(text: *const u8, size: usize, out: *mut Buffer) -> bool {
    match wat::parse_bytes(slice(text, size)) {
        Ok(wasm) => {
            *out = wasm.into_owned().into();
            true
        }
        Err(error) => {
            *out = error.to_string().into();
            false
        }
    }
}
