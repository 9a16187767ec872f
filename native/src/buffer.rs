//! Bytes that cross the C border.

use std::mem::ManuallyDrop;

/// `bh_buffer`: a `Vec<u8>` in parts.
#[repr(C)]
pub struct Buffer {
    data: *mut u8,
    size: usize,
    capacity: usize,
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        let mut bytes = ManuallyDrop::new(bytes);
        Buffer { data: bytes.as_mut_ptr(), size: bytes.len(), capacity: bytes.capacity() }
    }
}

impl From<String> for Buffer {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

/// # Safety
/// `buffer` came from this library and is not used again.
#[no_mangle]
pub unsafe extern "C" fn bh_buffer_free(buffer: Buffer) {
    if !buffer.data.is_null() {
        drop(Vec::from_raw_parts(buffer.data, buffer.size, buffer.capacity));
    }
}

/// A C (pointer, size) pair as a slice; C++ passes null for empty ones.
///
/// # Safety
/// `data` points at `size` bytes that outlive `'a` and don't change meanwhile.
pub unsafe fn slice<'a>(data: *const u8, size: usize) -> &'a [u8] {
    if size == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, size)
    }
}
