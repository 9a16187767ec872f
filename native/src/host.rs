//! The functions that a guest can import (contracts/extensions.md §3, guest ABI v1).
//!
//! A host call never traps because of what it is asked: refusals and bad pointers are answers. It suspends the guest,
//! `bh_execution_poll` hands the request to C++ (still in guest memory: nobody else can write there), and after the
//! answer came the guest's own `alloc` is called for the place to put it, on a second fiber.

use std::fmt;
use std::future::poll_fn;
use std::task::Poll;

use wasmtime::{AsContextMut, Caller, Linker, Memory, TypedFunc};

use crate::abi::{host_function_name, spellings, HOST_FUNCTIONS, IMPORT_MODULE, LOG_FUNCTIONS};
use crate::execution::{Answer, Event, Guest, View};

/// Result codes of ABI v1 that are given here; all others come from C++.
const INVALID: i32 = -2;
const TOO_LARGE: i32 = -5;
const INTERNAL: i32 = -7;
const QUOTA: i32 = -8;

/// Equals kMaxHostRequest in src/sandbox/host_calls.h.
const MAX_REQUEST: u64 = 2 * 1024 * 1024;
/// A line costs the host more than its text; this bounds a guest that logs empty lines.
const MAX_LOG_LINES: usize = 1024;
const MAX_ABORT_TEXT: u64 = 1024;

/// A guest that broke the ABI in a way that can't be answered, or gave up.
#[derive(Debug)]
pub enum GuestFault {
    Abi(String),
    Abort(String),
}

impl fmt::Display for GuestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GuestFault::Abi(text) | GuestFault::Abort(text) => f.write_str(text),
        }
    }
}
impl std::error::Error for GuestFault {}

pub fn abi_fault<T>(text: String) -> wasmtime::Result<T> {
    Err(wasmtime::Error::new(GuestFault::Abi(text)))
}

/// True if `[pointer, pointer + length)` lies in a memory of `size` bytes. In 64 bits: the sum may pass 2³².
pub fn in_bounds(pointer: u32, length: u64, size: usize) -> bool {
    u64::from(pointer) + length <= size as u64
}

pub fn define(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    for (level, dotted) in LOG_FUNCTIONS.iter().enumerate() {
        for name in spellings(dotted) {
            linker.func_wrap(IMPORT_MODULE, &name, move |caller: Caller<'_, Guest>, pointer: u32, length: u32| {
                log(caller, level as i32, pointer, length)
            })?;
        }
    }
    for index in 0..HOST_FUNCTIONS.len() {
        for name in spellings(host_function_name(index)) {
            linker.func_wrap_async(
                IMPORT_MODULE,
                &name,
                move |caller: Caller<'_, Guest>, (request, length, out): (u32, u32, u32)| {
                    Box::new(host_call(caller, index as u32, request, length, out))
                },
            )?;
        }
    }
    linker.func_wrap("env", "abort", abort)?;
    Ok(())
}

fn memory(caller: &mut Caller<'_, Guest>) -> wasmtime::Result<Memory> {
    let export = caller.data().exports.memory;
    match caller.get_module_export(&export).and_then(|export| export.into_memory()) {
        Some(memory) => Ok(memory),
        None => abi_fault("The module exports no memory.".to_owned()),
    }
}

fn log(mut caller: Caller<'_, Guest>, level: i32, pointer: u32, length: u32) -> wasmtime::Result<()> {
    let memory = memory(&mut caller)?;
    let (bytes, guest) = memory.data_and_store_mut(&mut caller);
    if !in_bounds(pointer, length.into(), bytes.len()) {
        return abi_fault(format!("A log line at {pointer} with {length} bytes lies outside the memory."));
    }
    let now = guest.clock.now();
    let mut exchange = guest.exchange.lock();
    let left = guest.log_limit.saturating_sub(exchange.log_bytes);
    let taken = u64::from(length).min(left) as usize;
    if exchange.logs.len() == MAX_LOG_LINES || (taken == 0 && length > 0) {
        exchange.log_truncated = true;
        return Ok(());
    }
    exchange.log_truncated |= taken < length as usize;
    exchange.log_bytes += taken as u64;
    let text = String::from_utf8_lossy(&bytes[pointer as usize..][..taken]).into_owned();
    exchange.logs.push((level, now, text));
    Ok(())
}

/// Waits until C++ has answered the call whose event was posted. The caller polls only when there is something to do,
/// so no waker is kept.
async fn answer(guest: &Guest) -> Answer {
    poll_fn(|_| match guest.exchange.lock().answer.take() {
        Some(answer) => Poll::Ready(answer),
        None => Poll::Pending,
    })
    .await
}

/// Puts the call where `bh_execution_poll` finds it, or refuses it.
fn post(
    caller: &mut Caller<'_, Guest>,
    memory: &Memory,
    function: u32,
    request: u32,
    length: u32,
    out: u32,
) -> Result<(), i32> {
    let (bytes, guest) = memory.data_and_store_mut(caller);
    // alloc is called for the answer of a host call; a call from there would nest fibers without end.
    if guest.in_alloc || !in_bounds(request, length.into(), bytes.len()) || !in_bounds(out, 8, bytes.len()) {
        return Err(INVALID);
    }
    if u64::from(length) > MAX_REQUEST {
        return Err(TOO_LARGE);
    }
    let mut exchange = guest.exchange.lock();
    if exchange.host_calls >= guest.host_call_limit {
        return Err(QUOTA);
    }
    exchange.host_calls += 1;
    let call = exchange.host_calls;
    let data = View::of(&bytes[request as usize..][..length as usize]);
    exchange.event = Event::HostCall { function, call, data };
    Ok(())
}

async fn host_call(
    mut caller: Caller<'_, Guest>,
    function: u32,
    request: u32,
    length: u32,
    out: u32,
) -> wasmtime::Result<i32> {
    let memory = memory(&mut caller)?;
    if let Err(code) = post(&mut caller, &memory, function, request, length, out) {
        return Ok(code);
    }
    let answer = answer(caller.data()).await;
    if answer.new_slice {
        caller.as_context_mut().set_epoch_deadline(1);
    }
    let size = answer.json.len();
    let mut code = answer.code;
    let mut place = 0;
    if size as u64 > caller.data().memory_limit {
        code = TOO_LARGE;
    } else if size > 0 {
        place = allocate(&mut caller, size as u32).await?;
        let bytes = memory.data_mut(&mut caller);
        if !in_bounds(place, size as u64, bytes.len()) {
            return abi_fault(format!("alloc({size}) gave {place}, which lies outside the memory."));
        }
        if place == 0 {
            code = INTERNAL;
        } else {
            // SAFETY: C++ keeps the answer's bytes until the next host call; they are not in guest memory.
            bytes[place as usize..][..size].copy_from_slice(unsafe { answer.json.bytes() });
        }
    }
    let written = if place == 0 { 0 } else { size as u32 };
    let bytes = memory.data_mut(&mut caller);
    // Memory never shrinks: `out` was in bounds before the call.
    bytes[out as usize..][..4].copy_from_slice(&place.to_le_bytes());
    bytes[out as usize + 4..][..4].copy_from_slice(&written.to_le_bytes());
    Ok(code)
}

async fn allocate(caller: &mut Caller<'_, Guest>, size: u32) -> wasmtime::Result<u32> {
    let export = caller.data().exports.alloc;
    let Some(alloc) = caller.get_module_export(&export).and_then(|export| export.into_func()) else {
        return abi_fault("The module exports no alloc.".to_owned());
    };
    let alloc: TypedFunc<u32, u32> = alloc.typed(&caller)?;
    caller.data_mut().in_alloc = true;
    let place = alloc.call_async(&mut *caller, size).await;
    caller.data_mut().in_alloc = false;
    place
}

/// AssemblyScript's `abort(message, file, line, column)`.
fn abort(mut caller: Caller<'_, Guest>, message: u32, file: u32, line: u32, column: u32) -> wasmtime::Result<()> {
    let memory = memory(&mut caller)?;
    let bytes = memory.data(&caller);
    let message = assembly_script_string(bytes, message).unwrap_or_else(|| "abort".to_owned());
    let place = assembly_script_string(bytes, file).map(|file| format!(" ({file}:{line}:{column})"));
    Err(wasmtime::Error::new(GuestFault::Abort(message + &place.unwrap_or_default())))
}

/// A string object: UTF-16 at `pointer`, its length in bytes in the 4 bytes before. None if it isn't there.
fn assembly_script_string(memory: &[u8], pointer: u32) -> Option<String> {
    let header = (pointer as usize).checked_sub(4)?;
    let length = u32::from_le_bytes(memory.get(header..)?.get(..4)?.try_into().ok()?);
    if length == 0 || !in_bounds(pointer, length.into(), memory.len()) {
        return None;
    }
    let shown = u64::from(length).min(MAX_ABORT_TEXT) as usize & !1;
    let units = memory[pointer as usize..][..shown].chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    Some(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}
