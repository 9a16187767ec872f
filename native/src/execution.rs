//! One run of a guest: a fresh store and instance inside one future, which C++ polls to the end.
//!
//! The future owns the store; what both sides need is in the `Exchange`. A poll ends because the guest's time slice is
//! over, because it waits for a host call, because its response is ready to be read, or because it is done; the
//! exchange's event says which. Belongs to one thread at a time, so its lock is never contended.

use std::fmt::Write;
use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use wasmtime::{
    Instance, Memory, PoolConcurrencyLimitError, ResourceLimiter, Store, Trap, TypedFunc, UpdateDeadline, WasmBacktrace,
    WasmParams, WasmResults,
};

use crate::engine::{describe, Exports, Program, UtcClock};
use crate::host::{abi_fault, in_bounds, GuestFault};

/// Bytes that somebody else owns: guest memory while the guest is suspended, or an answer that C++ holds.
#[derive(Clone, Copy)]
pub struct View(*const u8, usize);
// SAFETY: an execution and what it points to belong to one thread at a time, and move together.
unsafe impl Send for View {}
unsafe impl Sync for View {}

impl View {
    pub fn of(bytes: &[u8]) -> View {
        View(bytes.as_ptr(), bytes.len())
    }
    pub fn len(&self) -> usize {
        self.1
    }
    /// # Safety
    /// The bytes are still there and nobody writes to them while `'a` lasts.
    pub unsafe fn bytes<'a>(&self) -> &'a [u8] {
        crate::buffer::slice(self.0, self.1)
    }
}

pub enum Event {
    None,
    HostCall { function: u32, call: u32, data: View },
    Response(View),
}

pub struct Answer {
    pub code: i32,
    pub json: View,
    pub new_slice: bool,
}

/// What the future and its owner share.
pub struct Exchange {
    pub event: Event,
    pub answer: Option<Answer>,
    pub logs: Vec<(i32, i64, String)>, // level, UTC microseconds, text
    pub log_bytes: u64,
    pub log_truncated: bool,
    pub host_calls: u32,
    memory: u64,
    memory_refused: bool,
    fuel_used: u64,
}

#[derive(Clone)]
pub struct SharedExchange(Arc<Mutex<Exchange>>);
impl SharedExchange {
    fn new() -> SharedExchange {
        SharedExchange(Arc::new(Mutex::new(Exchange {
            event: Event::None,
            answer: None,
            logs: Vec::new(),
            log_bytes: 0,
            log_truncated: false,
            host_calls: 0,
            memory: 0,
            memory_refused: false,
            fuel_used: 0,
        })))
    }
    pub fn lock(&self) -> MutexGuard<'_, Exchange> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `bh_limits`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Limits {
    memory: u64,
    fuel: u64,
    response: u64,
    log: u64,
    host_calls: u32,
}

/// The store's data.
pub struct Guest {
    pub exchange: SharedExchange,
    pub exports: Exports,
    pub clock: UtcClock,
    pub memory_limit: u64,
    pub log_limit: u64,
    pub host_call_limit: u32,
    pub in_alloc: bool,
    table_limit: usize,
}

impl Guest {
    pub fn without_limits(program: &Program) -> Guest {
        Guest {
            exchange: SharedExchange::new(),
            exports: program.exports,
            clock: program.clock,
            memory_limit: u64::MAX,
            log_limit: u64::MAX,
            host_call_limit: u32::MAX,
            in_alloc: false,
            table_limit: usize::MAX,
        }
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let mut exchange = self.exchange.lock();
        if desired as u64 > self.memory_limit {
            exchange.memory_refused = true;
            return Ok(false);
        }
        exchange.memory = exchange.memory.max(desired as u64);
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.table_limit)
    }
}

/// `bh_outcome_kind`.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Ok = 0,
    Trap = 1,
    Abort = 2,
    Memory = 3,
    HandlerError = 4,
    ResponseSize = 5,
    Abi = 6,
    Fuel = 7,
    NoSlot = 8,
    Internal = 9,
}

struct Outcome {
    kind: Kind,
    number: i32,
    message: String,
    backtrace: String,
}

impl Outcome {
    fn new(kind: Kind, number: i32, message: String) -> Outcome {
        Outcome { kind, number, message, backtrace: String::new() }
    }
}

/// Turns whatever ended the guest into an outcome.
fn classify(error: wasmtime::Error, memory_refused: bool) -> Outcome {
    let mut outcome = if let Some(fault) = error.downcast_ref::<GuestFault>() {
        match fault {
            GuestFault::Abi(_) if memory_refused => Outcome::new(Kind::Memory, 0, String::new()),
            GuestFault::Abi(text) => Outcome::new(Kind::Abi, 0, text.clone()),
            GuestFault::Abort(_) if memory_refused => Outcome::new(Kind::Memory, 0, String::new()),
            GuestFault::Abort(text) => Outcome::new(Kind::Abort, 0, text.clone()),
        }
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        match trap {
            Trap::OutOfFuel => Outcome::new(Kind::Fuel, 0, String::new()),
            _ if memory_refused => Outcome::new(Kind::Memory, 0, String::new()),
            _ => {
                let text = trap.to_string();
                Outcome::new(Kind::Trap, 0, text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned())
            }
        }
    } else if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        Outcome::new(Kind::NoSlot, 0, String::new())
    } else if memory_refused {
        Outcome::new(Kind::Memory, 0, String::new())
    } else {
        Outcome::new(Kind::Internal, 0, describe(&error))
    };
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        for (index, frame) in backtrace.frames().iter().enumerate() {
            let _ = match frame.func_name() {
                Some(name) => writeln!(outcome.backtrace, "{index}: {:#}", rustc_demangle::demangle(name)),
                None => writeln!(outcome.backtrace, "{index}: function {}", frame.func_index()),
            };
        }
    }
    outcome
}

fn exported<P: WasmParams, R: WasmResults>(
    store: &mut Store<Guest>,
    instance: &Instance,
    export: &wasmtime::ModuleExport,
) -> wasmtime::Result<TypedFunc<P, R>> {
    match instance.get_module_export(&mut *store, export).and_then(|export| export.into_func()) {
        Some(function) => function.typed(&*store),
        None => abi_fault("An export of ABI v1 is not a function.".to_owned()),
    }
}

/// Asks the guest for `size` bytes.
async fn allocate(
    store: &mut Store<Guest>,
    alloc: &TypedFunc<u32, u32>,
    memory: &Memory,
    size: usize,
) -> wasmtime::Result<u32> {
    let place = alloc.call_async(&mut *store, size as u32).await?;
    if (place == 0 && size > 0) || !in_bounds(place, size as u64, memory.data_size(&*store)) {
        return abi_fault(format!("alloc({size}) gave {place}, which is not a place in the memory."));
    }
    Ok(place)
}

/// Suspends once with the response in sight; the owner reads it and polls again.
async fn show_response(exchange: &SharedExchange, response: View) {
    let mut shown = false;
    poll_fn(|_| {
        if shown {
            return Poll::Ready(());
        }
        shown = true;
        exchange.lock().event = Event::Response(response);
        Poll::Pending
    })
    .await
}

/// The guest's part: instantiate, hand over the request, call the handler, show the response.
async fn call(
    store: &mut Store<Guest>,
    program: &Program,
    request: View,
    response_limit: u64,
) -> wasmtime::Result<Outcome> {
    let exports = &program.exports;
    let instance = program.instance_pre.instantiate_async(&mut *store).await?;
    if let Some(initialize) = &exports.initialize {
        exported::<(), ()>(store, &instance, initialize)?.call_async(&mut *store, ()).await?;
    }
    let memory = instance.get_module_export(&mut *store, &exports.memory).and_then(|export| export.into_memory());
    let Some(memory) = memory else { return abi_fault("The module exports no memory.".to_owned()) };
    let alloc = exported(store, &instance, &exports.alloc)?;
    let handler = exported::<(u32, u32, u32), i32>(store, &instance, &exports.handler)?;

    let size = request.len();
    let input = allocate(store, &alloc, &memory, size).await?;
    // SAFETY: C++ keeps the request until this future has ended or shown an event.
    memory.data_mut(&mut *store)[input as usize..][..size].copy_from_slice(unsafe { request.bytes() });
    let out = allocate(store, &alloc, &memory, 8).await?;
    memory.data_mut(&mut *store)[out as usize..][..8].fill(0);

    let number = handler.call_async(&mut *store, (input, size as u32, out)).await?;
    if number != 0 {
        return Ok(Outcome::new(Kind::HandlerError, number, String::new()));
    }
    let bytes = memory.data(&*store);
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (place, length) = (word(out as usize), word(out as usize + 4));
    if !in_bounds(place, length.into(), bytes.len()) {
        return abi_fault(format!("The response at {place} with {length} bytes lies outside the memory."));
    }
    if u64::from(length) > response_limit {
        let message = format!("The response has {length} bytes; at most {response_limit} are allowed.");
        return Ok(Outcome::new(Kind::ResponseSize, 0, message));
    }
    let response = View::of(&bytes[place as usize..][..length as usize]);
    let exchange = store.data().exchange.clone();
    show_response(&exchange, response).await;
    Ok(Outcome::new(Kind::Ok, 0, String::new()))
}

async fn run(program: Arc<Program>, exchange: SharedExchange, limits: Limits, request: View) -> Outcome {
    let guest = Guest {
        exchange: exchange.clone(),
        exports: program.exports,
        clock: program.clock,
        memory_limit: limits.memory,
        log_limit: limits.log,
        host_call_limit: limits.host_calls,
        in_alloc: false,
        table_limit: program.max_table_elements,
    };
    let mut store = Store::new(&program.engine, guest);
    store.limiter(|guest| guest);
    store.set_epoch_deadline(1);
    if program.fuel {
        let fuel = if limits.fuel > 0 { limits.fuel } else { u64::MAX };
        let _ = store.set_fuel(fuel); // only fails on engines that don't count fuel
        store.epoch_deadline_callback(move |context| {
            let left = context.get_fuel().unwrap_or(fuel);
            context.data().exchange.lock().fuel_used = fuel - left;
            Ok(UpdateDeadline::Yield(1))
        });
    } else {
        store.epoch_deadline_async_yield_and_update(1);
    }
    let result = call(&mut store, &program, request, limits.response).await;
    let mut state = exchange.lock();
    if program.fuel {
        let fuel = if limits.fuel > 0 { limits.fuel } else { u64::MAX };
        state.fuel_used = fuel - store.get_fuel().unwrap_or(fuel);
    }
    let memory_refused = state.memory_refused;
    drop(state);
    result.unwrap_or_else(|error| classify(error, memory_refused))
}

pub struct Execution {
    future: Option<Pin<Box<dyn Future<Output = Outcome> + Send>>>,
    exchange: SharedExchange,
    outcome: Option<Outcome>,
}

/// `bh_event`.
#[repr(C)]
pub struct CEvent {
    function: u32,
    call: u32,
    data: *const u8,
    size: usize,
}

/// `bh_progress`.
#[repr(i32)]
pub enum Progress {
    Done = 0,
    Yielded = 1,
    HostCall = 2,
    Response = 3,
}

impl Execution {
    fn poll(&mut self, out: &mut CEvent) -> Progress {
        let Some(future) = self.future.as_mut() else { return Progress::Done };
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            self.future = None;
            self.outcome = Some(outcome);
            return Progress::Done;
        }
        match std::mem::replace(&mut self.exchange.lock().event, Event::None) {
            Event::None => Progress::Yielded,
            Event::HostCall { function, call, data } => {
                *out = CEvent { function, call, data: data.0, size: data.1 };
                Progress::HostCall
            }
            Event::Response(data) => {
                *out = CEvent { function: 0, call: 0, data: data.0, size: data.1 };
                Progress::Response
            }
        }
    }
}

/// # Safety
/// See the header; so for every function below.
#[no_mangle]
pub unsafe extern "C" fn bh_execution_new(
    module: *const Program,
    limits: *const Limits,
    request: *const u8,
    size: usize,
) -> *mut Execution {
    Arc::increment_strong_count(module);
    let program = Arc::from_raw(module);
    let exchange = SharedExchange::new();
    let future = Box::pin(run(program, exchange.clone(), *limits, View(request, size)));
    Box::into_raw(Box::new(Execution { future: Some(future), exchange, outcome: None }))
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_execution_delete(execution: *mut Execution) {
    drop(Box::from_raw(execution));
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_execution_poll(execution: *mut Execution, event: *mut CEvent) -> Progress {
    (*execution).poll(&mut *event)
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_execution_answer(
    execution: *mut Execution,
    code: i32,
    json: *const u8,
    size: usize,
    new_slice: bool,
) {
    (*execution).exchange.lock().answer = Some(Answer { code, json: View(json, size), new_slice });
}

/// `bh_outcome`.
#[repr(C)]
pub struct COutcome {
    kind: Kind,
    number: i32,
    message: *const u8,
    message_size: usize,
    backtrace: *const u8,
    backtrace_size: usize,
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_execution_outcome(execution: *const Execution, out: *mut COutcome) {
    let Some(outcome) = &(*execution).outcome else { return };
    *out = COutcome {
        kind: outcome.kind,
        number: outcome.number,
        message: outcome.message.as_ptr(),
        message_size: outcome.message.len(),
        backtrace: outcome.backtrace.as_ptr(),
        backtrace_size: outcome.backtrace.len(),
    };
}

/// `bh_usage`.
#[repr(C)]
pub struct CUsage {
    memory: u64,
    fuel: u64,
    host_calls: u32,
    log_truncated: bool,
    log_lines: u32,
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_execution_usage(execution: *const Execution, usage: *mut CUsage) {
    let execution = &*execution;
    let exchange = execution.exchange.lock();
    *usage = CUsage {
        memory: exchange.memory,
        fuel: exchange.fuel_used,
        host_calls: exchange.host_calls,
        log_truncated: exchange.log_truncated,
        log_lines: exchange.logs.len() as u32,
    };
}

/// `bh_log_line`.
#[repr(C)]
pub struct CLogLine {
    level: i32,
    utc_micros: i64,
    text: *const u8,
    size: usize,
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_execution_log(execution: *const Execution, index: u32, line: *mut CLogLine) {
    let execution = &*execution;
    let exchange = execution.exchange.lock();
    let Some((level, utc_micros, text)) = exchange.logs.get(index as usize) else { return };
    *line = CLogLine { level: *level, utc_micros: *utc_micros, text: text.as_ptr(), size: text.len() };
}
