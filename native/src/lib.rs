//! All of Bulkhead's Rust, in one static library, behind the C header `include/bulkhead_native.h`.
//!
//! - `engine`: Wasmtime's engine, its settings, compiling and loading modules
//! - `abi`: guest ABI v1 (contracts/extensions.md §3) and the check of a module against it
//! - `execution`: one run of a guest, as a future that C++ polls
//! - `host`: the functions that a guest can import
//! - `schema`, `schema_limits`: JSON Schema, and which schemas are refused
//! - `testing`: for tests and benchmarks only; not linked into the product
//!
//! Rust is used where Wasmtime's C API has no door: a host function that suspends the guest and later calls the guest's
//! `alloc`, a limiter that tells out of memory from a trap, a module mapped from an open file, and a run that costs one
//! call instead of a dozen. Every `extern "C"` function here is declared, with its contract, in the header.

mod abi;
mod buffer;
mod engine;
mod execution;
mod host;
mod schema;
mod schema_limits;
mod testing;
