//! Wasmtime's engine, its settings, and modules: compiling, loading, linking.

use std::ffi::c_void;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::os::fd::FromRawFd;
use std::sync::Arc;

use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, InstancePre, Linker, Module, ModuleExport, PoolingAllocationConfig,
    Strategy,
};

use crate::buffer::{slice, Buffer};
use crate::execution::Guest;
use crate::host;

/// `bh_engine_settings`.
#[repr(C)]
pub struct Settings {
    slots: u32,
    max_table_elements: u32,
    max_memory: u64,
    memory_keep_resident: u64,
    max_wasm_stack: u64,
    fuel: bool,
    utc_micros: Option<extern "C" fn(*const c_void) -> i64>,
    clock: *const c_void,
}

/// The clock that stamps log lines. The C++ object behind it is immutable and may be called from any thread.
#[derive(Clone, Copy)]
pub struct UtcClock {
    read: Option<extern "C" fn(*const c_void) -> i64>,
    clock: *const c_void,
}
unsafe impl Send for UtcClock {}
unsafe impl Sync for UtcClock {}

impl UtcClock {
    pub fn now(&self) -> i64 {
        self.read.map_or(0, |read| read(self.clock))
    }
}

pub struct Engine {
    engine: wasmtime::Engine,
    linker: Linker<Guest>,
    clock: UtcClock,
    fuel: bool,
    max_table_elements: usize,
}

/// A module that is linked against the host functions, with its exports looked up once.
pub struct Program {
    pub engine: wasmtime::Engine,
    pub instance_pre: InstancePre<Guest>,
    pub exports: Exports,
    pub clock: UtcClock,
    pub fuel: bool,
    pub max_table_elements: usize,
}

#[derive(Clone, Copy)]
pub struct Exports {
    pub memory: ModuleExport,
    pub alloc: ModuleExport,
    pub handler: ModuleExport,
    pub initialize: Option<ModuleExport>,
}

/// On top of `max_wasm_stack`, for host functions on a guest's fiber. Only touched pages count.
const HOST_STACK: usize = 256 * 1024;

fn config(settings: &Settings) -> Config {
    let mut config = Config::new();
    // Settings of the generated code; all of them are part of the fingerprint.
    config
        .strategy(Strategy::Cranelift)
        .epoch_interruption(true)
        .consume_fuel(settings.fuel)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        // Deterministic NaNs and relaxed SIMD cost little and keep guests from telling machines apart.
        .relaxed_simd_deterministic(true)
        // Backtraces name functions without the map from machine code to wasm offsets, which is as large as the code,
        // and walk frame pointers, so unwind tables would only slow down loading.
        .generate_address_map(false)
        .native_unwind_info(false);
    // Settings of this process.
    config
        .memory_init_cow(true)
        .max_wasm_stack(settings.max_wasm_stack as usize)
        .async_stack_size(settings.max_wasm_stack as usize + HOST_STACK);
    if settings.slots > 0 {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_core_instances(settings.slots)
            .total_memories(settings.slots)
            .total_tables(settings.slots)
            // A host call that has come back runs the guest's alloc on a second fiber.
            .total_stacks(settings.slots.saturating_mul(2))
            .max_memories_per_module(1)
            .max_tables_per_module(1)
            .table_elements(settings.max_table_elements as usize)
            .max_memory_size(settings.max_memory as usize)
            .max_unused_warm_slots(settings.slots)
            .linear_memory_keep_resident(settings.memory_keep_resident as usize)
            .table_keep_resident(64 * 1024)
            // Resets just the pages that the guest wrote (Linux 6.7).
            .pagemap_scan(Enabled::Auto);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

fn new_engine(settings: &Settings) -> wasmtime::Result<Engine> {
    let engine = wasmtime::Engine::new(&config(settings))?;
    let mut linker = Linker::new(&engine);
    host::define(&mut linker)?;
    Ok(Engine {
        engine,
        linker,
        clock: UtcClock { read: settings.utc_micros, clock: settings.clock },
        fuel: settings.fuel,
        max_table_elements: settings.max_table_elements as usize,
    })
}

fn load(engine: &Engine, file: File) -> wasmtime::Result<Program> {
    // SAFETY: the header's contract: these bytes are our own machine code and can't change.
    let module = unsafe { Module::deserialize_open_file(&engine.engine, file)? };
    let export = |name: &str| {
        module.get_export_index(name).ok_or_else(|| wasmtime::format_err!("the module does not export `{name}`"))
    };
    let exports = Exports {
        memory: export("memory")?,
        alloc: export("alloc")?,
        handler: export("handler")?,
        initialize: module.get_export_index("_initialize"),
    };
    let instance_pre = engine.linker.instantiate_pre(&module)?;
    Ok(Program {
        engine: engine.engine.clone(),
        instance_pre,
        exports,
        clock: engine.clock,
        fuel: engine.fuel,
        max_table_elements: engine.max_table_elements,
    })
}

/// The whole chain of causes on one line.
pub fn describe(error: &wasmtime::Error) -> String {
    format!("{error:#}")
}

/// Writes what is hashed into a vector, so that C++ can use its own SHA-256.
struct Collector(Vec<u8>);
impl Hasher for Collector {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
    fn finish(&self) -> u64 {
        0
    }
}

/// # Safety
/// See the header; so for every function below.
#[no_mangle]
pub unsafe extern "C" fn bh_engine_new(settings: *const Settings, error: *mut Buffer) -> *mut Engine {
    match new_engine(&*settings) {
        Ok(engine) => Box::into_raw(Box::new(engine)),
        Err(reason) => {
            *error = describe(&reason).into();
            std::ptr::null_mut()
        }
    }
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_engine_delete(engine: *mut Engine) {
    drop(Box::from_raw(engine));
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_engine_tick(engine: *const Engine) {
    (*engine).engine.increment_epoch();
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_engine_compatibility(engine: *const Engine) -> Buffer {
    let mut collector = Collector(Vec::new());
    (*engine).engine.precompile_compatibility_hash().hash(&mut collector);
    collector.0.into()
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_module_compile(
    engine: *const Engine,
    wasm: *const u8,
    size: usize,
    out: *mut Buffer,
) -> bool {
    match (*engine).engine.precompile_module(slice(wasm, size)) {
        Ok(code) => {
            *out = code.into();
            true
        }
        Err(reason) => {
            *out = describe(&reason).into();
            false
        }
    }
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_module_load(engine: *const Engine, fd: i32, error: *mut Buffer) -> *const Program {
    match load(&*engine, File::from_raw_fd(fd)) {
        Ok(program) => Arc::into_raw(Arc::new(program)),
        Err(reason) => {
            *error = describe(&reason).into();
            std::ptr::null()
        }
    }
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_module_delete(module: *const Program) {
    drop(Arc::from_raw(module));
}
