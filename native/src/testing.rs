//! For tests and benchmarks; the linker drops it from everything else.

use wasmtime::Store;

use crate::buffer::{slice, Buffer};
use crate::engine::Program;
use crate::execution::Guest;

/// # Safety
/// See the header; so for every function below.
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

fn bare_run(program: &Program, request: &[u8]) -> wasmtime::Result<u32> {
    let mut store = Store::new(&program.engine, Guest::without_limits(program));
    store.set_epoch_deadline(u64::MAX / 2);
    let instance = program.instance_pre.instantiate(&mut store)?;
    let memory = instance.get_memory(&mut store, "memory").expect("checked");
    let alloc = instance.get_typed_func::<u32, u32>(&mut store, "alloc")?;
    let handler = instance.get_typed_func::<(u32, u32, u32), i32>(&mut store, "handler")?;
    let input = alloc.call(&mut store, request.len() as u32)?;
    memory.write(&mut store, input as usize, request)?;
    let out = alloc.call(&mut store, 8)?;
    handler.call(&mut store, (input, request.len() as u32, out))?;
    let mut length = [0; 4];
    memory.read(&store, out as usize + 4, &mut length)?;
    Ok(u32::from_le_bytes(length))
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn bh_bare_run(module: *const Program, request: *const u8, size: usize) -> u32 {
    bare_run(&*module, slice(request, size)).unwrap_or(0)
}
