//! Guest ABI v1 (contracts/extensions.md §3): what a module may import and must export.

use std::ffi::{c_char, CStr};

use wasmparser::{
    ExternalKind, FuncType, Parser, Payload, TypeRef, ValType, Validator, WasmFeatures,
};

use crate::buffer::{slice, Buffer};

pub const IMPORT_MODULE: &str = "alga";

/// Functions of module `alga` that take and give JSON: `(req_ptr, req_len, out_ptr) -> code`. The order is that of
/// `kHostFunctions` in src/sandbox/host_calls.h, which a test compares.
pub const HOST_FUNCTIONS: [&CStr; 16] = [
    c"http.fetch",
    c"storage.get",
    c"storage.put",
    c"storage.set",
    c"storage.delete",
    c"storage.list",
    c"storage.bulk_put",
    c"secrets.get",
    c"events.emit",
    c"schedules.register",
    c"schedules.cancel",
    c"metrics.counter",
    c"metrics.gauge",
    c"metrics.histogram",
    c"context.get",
    c"user.get",
];

/// `(ptr, len)`; the index is the log level.
pub const LOG_FUNCTIONS: [&str; 3] = ["log.info", "log.warn", "log.error"];

/// Both accepted spellings of an import: `storage.get` and `storage_get`.
pub fn spellings(dotted: &str) -> [String; 2] {
    [dotted.to_owned(), dotted.replace('.', "_")]
}

pub fn host_function_name(index: usize) -> &'static str {
    HOST_FUNCTIONS[index].to_str().unwrap_or_default()
}

#[no_mangle]
pub extern "C" fn bh_host_function_name(index: u32) -> *const c_char {
    HOST_FUNCTIONS.get(index as usize).copied().unwrap_or(c"").as_ptr()
}

const I32: ValType = ValType::I32;

fn imported_type(module: &str, name: &str) -> Option<(&'static [ValType], &'static [ValType])> {
    if module == "env" && name == "abort" {
        return Some((&[I32, I32, I32, I32], &[]));
    }
    if module != IMPORT_MODULE {
        return None;
    }
    let is = |dotted: &str| name == dotted || (name.len() == dotted.len() && *name == dotted.replace('.', "_"));
    if LOG_FUNCTIONS.iter().any(|log| is(log)) {
        return Some((&[I32, I32], &[]));
    }
    if (0..HOST_FUNCTIONS.len()).any(|index| is(host_function_name(index))) {
        return Some((&[I32, I32, I32], &[I32]));
    }
    None
}

/// (name, parameters, results, required)
const EXPORTS: [(&str, &[ValType], &[ValType], bool); 4] = [
    ("alloc", &[I32], &[I32], true),
    ("handler", &[I32, I32, I32], &[I32], true),
    ("dealloc", &[I32, I32], &[], false),
    ("_initialize", &[], &[], false),
];

/// Pages of 64 KiB in the largest memory that any engine gives (`protocol::kMaxMemory`).
const MAX_MEMORY_PAGES: u64 = 16 * 1024;
/// Equals the default of `EngineSettings::max_table_elements`.
const MAX_TABLE_ELEMENTS: u64 = 50_000;

/// What the engine runs; `engine::config` turns the same proposals on and off.
fn features() -> WasmFeatures {
    let mut features = WasmFeatures::default();
    features.set(WasmFeatures::THREADS, false);
    features.set(WasmFeatures::SHARED_EVERYTHING_THREADS, false);
    features.set(WasmFeatures::MEMORY64, false);
    features.set(WasmFeatures::MULTI_MEMORY, false);
    features.set(WasmFeatures::CUSTOM_PAGE_SIZES, false);
    features.set(WasmFeatures::EXCEPTIONS, false);
    features.set(WasmFeatures::LEGACY_EXCEPTIONS, false);
    features.set(WasmFeatures::STACK_SWITCHING, false);
    features.set(WasmFeatures::GC, false);
    features.set(WasmFeatures::GC_TYPES, false);
    features.set(WasmFeatures::FUNCTION_REFERENCES, false);
    features.set(WasmFeatures::COMPONENT_MODEL, false);
    features
}

pub enum Refusal {
    Rejected(String),
    MissingExport(String),
}

fn rejected<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Rejected(message.into()))
}

fn signature(params: &[ValType], results: &[ValType]) -> String {
    let list = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match results {
        [] => format!("({})", list(params)),
        _ => format!("({}) -> {}", list(params), list(results)),
    }
}

/// At most 80 characters of a name that a stranger chose, safe to print.
fn quoted(name: &str) -> String {
    let mut short: String = name.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect();
    if short.len() < name.len() && name.chars().count() > 80 {
        short.push('…');
    }
    format!("\"{short}\"")
}

fn check_import(module: &str, name: &str, ty: Option<&FuncType>) -> Result<(), Refusal> {
    if module == "wasi_snapshot_preview1" || module == "wasi_unstable" || module.starts_with("wasi:") {
        return rejected(format!(
            "It imports {}.{}, and ABI v1 has no WASI: build for wasm32-unknown-unknown (Rust) or without a WASI libc \
             (C: -nostdlib), and use the alga imports for logs, storage and HTTP.",
            quoted(module),
            quoted(name)
        ));
    }
    let Some((params, results)) = imported_type(module, name) else {
        return rejected(format!(
            "It imports {}.{}, which does not exist in ABI v1; see the list of imports of module \"alga\".",
            quoted(module),
            quoted(name)
        ));
    };
    match ty {
        Some(ty) if ty.params() == params && ty.results() == results => Ok(()),
        Some(ty) => rejected(format!(
            "The import {module}.{name} has the type {}; it must be {}.",
            signature(ty.params(), ty.results()),
            signature(params, results)
        )),
        None => rejected(format!("The import {module}.{name} must be a function.")),
    }
}

pub fn check(wasm: &[u8]) -> Result<(), Refusal> {
    if Parser::is_component(wasm) {
        return rejected("It is a component; ABI v1 takes a core module.");
    }
    let types = match Validator::new_with_features(features()).validate_all(wasm) {
        Ok(types) => types,
        Err(error) => {
            return rejected(format!(
                "It is not a valid WebAssembly module: {} (at byte {}).",
                error.message(),
                error.offset()
            ))
        }
    };
    let types = types.as_ref();
    let function_type = |type_index: u32| {
        let sub_type = types.get(types.core_type_at_in_module(type_index)).expect("validated");
        sub_type.composite_type.unwrap_func()
    };
    let mut has_memory = false;
    let mut found = [false; EXPORTS.len()];
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.expect("validated") {
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    let import = import.expect("validated");
                    let ty = match import.ty {
                        TypeRef::Func(index) | TypeRef::FuncExact(index) => Some(function_type(index)),
                        _ => None,
                    };
                    check_import(import.module, import.name, ty)?;
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    let memory = memory.expect("validated");
                    if memory.initial > MAX_MEMORY_PAGES {
                        return rejected(format!(
                            "It starts with {} MiB of memory; at most {} MiB are possible.",
                            memory.initial / 16,
                            MAX_MEMORY_PAGES / 16
                        ));
                    }
                }
            }
            Payload::TableSection(reader) => {
                if reader.count() > 1 {
                    return rejected("It has more than one table.");
                }
                for table in reader {
                    let initial = table.expect("validated").ty.initial;
                    if initial > MAX_TABLE_ELEMENTS {
                        return rejected(format!(
                            "Its table has {initial} elements; at most {MAX_TABLE_ELEMENTS} are possible."
                        ));
                    }
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export.expect("validated");
                    if export.name == "memory" {
                        if export.kind != ExternalKind::Memory {
                            return rejected("The export \"memory\" is not a memory.");
                        }
                        has_memory = true;
                    }
                    let Some(at) = EXPORTS.iter().position(|(name, ..)| *name == export.name) else { continue };
                    let (name, params, results, _) = EXPORTS[at];
                    if export.kind != ExternalKind::Func {
                        return rejected(format!("The export \"{name}\" is not a function."));
                    }
                    let ty = types.get(types.core_function_at(export.index)).expect("validated");
                    let ty = ty.composite_type.unwrap_func();
                    if ty.params() != params || ty.results() != results {
                        return rejected(format!(
                            "The export \"{name}\" has the type {}; it must be {}.",
                            signature(ty.params(), ty.results()),
                            signature(params, results)
                        ));
                    }
                    found[at] = true;
                }
            }
            _ => {}
        }
    }
    let mut missing = Vec::new();
    if !has_memory {
        missing.push("memory");
    }
    missing.extend(EXPORTS.iter().zip(found).filter(|((.., required), found)| *required && !found).map(|(e, _)| e.0));
    if missing.is_empty() {
        return Ok(());
    }
    let mut message = format!("It does not export {}, which ABI v1 needs.", missing.join(", "));
    if missing.contains(&"handler") && exports_start(wasm) {
        message.push_str(" It looks like a command with _start: build a library (a reactor) instead.");
    }
    Err(Refusal::MissingExport(message))
}

fn exports_start(wasm: &[u8]) -> bool {
    Parser::new(0).parse_all(wasm).flatten().any(|payload| match payload {
        Payload::ExportSection(reader) => reader.into_iter().flatten().any(|export| export.name == "_start"),
        _ => false,
    })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_module_check(wasm: *const u8, size: usize, message: *mut Buffer) -> u32 {
    match check(slice(wasm, size)) {
        Ok(()) => 0,
        Err(Refusal::Rejected(text)) => {
            *message = text.into();
            1
        }
        Err(Refusal::MissingExport(text)) => {
            *message = text.into();
            2
        }
    }
}
