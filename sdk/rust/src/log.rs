//! Lines of the execution's log. Need the capability `log.emit`; without it they are dropped.
//!
//! ```
//! use bulkhead_extension::{log_info, log_warn};
//!
//! let orders = 3;
//! log_info!("{orders} orders");
//! log_warn!("none left of {}", "A-1");
//! ```

use crate::abi;

/// Something to know. [`log_info!`](crate::log_info) formats.
pub fn info(line: &str) {
    abi::log_info(line);
}

/// Something to look at. [`log_warn!`](crate::log_warn) formats.
pub fn warn(line: &str) {
    abi::log_warn(line);
}

/// Something that failed. [`log_error!`](crate::log_error) formats.
pub fn error(line: &str) {
    abi::log_error(line);
}

/// A line of the log: something to know. Takes what `format!` takes.
#[macro_export]
macro_rules! log_info {
    ($($argument:tt)+) => { $crate::log::info(&::std::format!($($argument)+)) };
}

/// A line of the log: something to look at. Takes what `format!` takes.
#[macro_export]
macro_rules! log_warn {
    ($($argument:tt)+) => { $crate::log::warn(&::std::format!($($argument)+)) };
}

/// A line of the log: something that failed. Takes what `format!` takes.
#[macro_export]
macro_rules! log_error {
    ($($argument:tt)+) => { $crate::log::error(&::std::format!($($argument)+)) };
}
